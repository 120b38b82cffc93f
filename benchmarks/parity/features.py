"""What attack libraries for PyTorch offer, looked at by running it.

    pip install torch torchvision foolbox adversarial-robustness-toolbox multiprocess \\
        torchattacks adv-lib
    python -m benchmarks.parity.features --out=results/features.json

and once more where RobustBench is installed by itself, because torchattacks' wheel
holds a folder of the same name; the file keeps what the first run found.

Each attack is called once on a small random network and four images; what it returns
must have the images' shape. Other features are looked for in the source. Needs
neither TensorFlow nor this package.
"""

import argparse
import importlib
import importlib.metadata
import json
import pathlib
import re
import sys

from benchmarks.parity.feature_calls import LIBRARIES

PACKAGES = ("foolbox", "adversarial-robustness-toolbox", "torchattacks", "adv-lib",
            "robustbench")  # fmt: skip
#: Looked for in the source of each package, outside of tests.
WORDS = {
    "resumes": r"resume|state_path|checkpoint_dir",
    "compares two models image by image": r"mcnemar|paired",
    "intervals of accuracies": r"wilson|clopper|confidence_interval|proportion_confint",
    "looks for masked gradients": r"gradient.?mask|obfuscat",
    "verified bounds": r"crown|interval.?bound|deep_?z|zonotope",
    "common corruptions": r"cifar.?10.?c\b|gaussian_noise.*shot_noise|corruptions",
}


def main(arguments: list[str] | None = None) -> int:
    """Runs everything and writes what was found as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--package", choices=PACKAGES, help="this one only")
    options = parser.parse_args(arguments)
    stub_torchvision()
    asked = [options.package] if options.package else PACKAGES
    here = [name for name in asked if is_installed(name)]
    if is_installed("torchattacks") and is_installed("robustbench"):
        parser.error("torchattacks and robustbench are in one environment; see --help")
    found = {"versions": {}, "ran": {}, "commands": {}, "in_source": {}}
    if options.out.exists():
        found = json.loads(options.out.read_text(encoding="utf-8"))
    for name in (*here, "torch", "numpy"):
        found["versions"][name] = importlib.metadata.version(name)
    for name in here:
        found["in_source"][name] = in_source(name)
        points = importlib.metadata.distribution(name).entry_points
        scripts = [point.name for point in points if point.group == "console_scripts"]
        found["commands"][name] = scripts
        if name in LIBRARIES:
            found["ran"][name] = ran(LIBRARIES[name]())
    if "robustbench" in here:
        alias_autoattack()
        found["robustbench"] = {"networks": zoo(), "has": robustbench_has()}
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))
    return 0


def is_installed(name):
    """Whether a distribution of this name is there."""
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def stub_torchvision():
    """Declares operators of a torchvision that was built for another PyTorch.

    None of the attacks calls them, and without them torchvision cannot be imported.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.startswith("torchvision")]:
            del sys.modules[name]
        spec = importlib.util.find_spec("torchvision")
        text = (pathlib.Path(spec.origin).parent / "_meta_registrations.py").read_text()
        library = torch.library.Library("torchvision", "DEF")
        for name in dict.fromkeys(
            re.findall(r'register_(?:fake|meta)\("(?:torchvision::)?(\w+)"', text)
        ):
            library.define(f"{name}(Tensor a, Tensor b, float c) -> Tensor")
        stub_torchvision.kept = library


def ran(calls):
    """Dict from attack to "runs", or what stopped it."""
    found = {}
    for name, call in calls.items():
        try:
            adversarial = call()
            shape = tuple(adversarial.shape)
            found[name] = "runs" if shape == (4, 3, 8, 8) else f"returned {shape}"
        # Whatever a library raises is what is recorded.
        except Exception as error:
            told = str(error).partition("\n")[0][:120]
            found[name] = f"{type(error).__name__}: {told}"
    return found


def in_source(package):
    """Which words stand in the files of a package, as name to number of files."""
    files = [
        pathlib.Path(file.locate())
        for file in importlib.metadata.files(package) or ()
        if file.suffix == ".py" and "test" not in str(file)
    ]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files]
    return {
        name: sum(bool(re.search(pattern, text, re.I)) for text in texts)
        for name, pattern in WORDS.items()
    }


def alias_autoattack():
    """RobustBench imports `autoattack` and depends on `pyautoattack`, the same code."""
    if importlib.util.find_spec("autoattack") is None:
        for name in ("pyautoattack", "pyautoattack.state"):
            sys.modules[name.removeprefix("py")] = importlib.import_module(name)


def zoo():
    """Number of networks of RobustBench by data set and threat model."""
    from robustbench.model_zoo import model_dicts

    return {
        str(getattr(dataset, "value", dataset)): {
            str(getattr(threat, "value", threat)): len(models)
            for threat, models in found.items()
        }
        for dataset, found in model_dicts.items()
    }


def robustbench_has():
    """Which names RobustBench has."""
    places = {
        "load_model": "robustbench.utils",
        "load_cifar10c": "robustbench.data",
        "load_cifar100c": "robustbench.data",
        "benchmark": "robustbench.eval",
    }
    return {
        name: hasattr(importlib.import_module(place), name)
        for name, place in places.items()
    }


if __name__ == "__main__":
    sys.exit(main())
