"""Our AutoAttack against the authors': images standing, passes and seconds, one run.

    python -m venv VENV && VENV/bin/pip install torch keras pyautoattack
    python -m benchmarks.parity.autoattack_models --data_dir=DIR --out_dir=models
    python -m benchmarks.parity.autoattack_reference --torch_python=VENV/bin/python \\
      --case=cifar10_robust,models/cifar10_robust.keras,models/cifar10.npz,linf,8/255

Both read the same `.keras` file and the same images, with the same number of threads,
one after the other; `autoattack_torch.py` is the other side. Results are added to the
JSON file, a case that is there already is replaced.
"""

import argparse
import dataclasses
import fractions
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf import files

COMMAND = "python -m benchmarks.parity.autoattack_reference"
REFERENCE = pathlib.Path(__file__).with_name("autoattack_torch.py")


def ours(model_path, images, labels, *, norm, eps, seed, version, attacks):
    """Report of our AutoAttack: what stands after each attack, seconds, passes."""
    model = keras.saving.load_model(model_path, compile=False)
    attack = igam_tf.AutoAttack(
        eps=eps, norm=norm, version=version, seed=seed, batch_size=250, callback=show
    )
    if attacks != ",".join(attack.attacks):
        parts = tuple(attack.attacks[name] for name in attacks.split(","))
        attack = dataclasses.replace(attack, version=parts)
    start, cpu_start = time.perf_counter(), time.process_time()
    outcome = attack.outcome(model, images, labels)
    names = list(outcome.seconds)
    classes = model.output_shape[-1]
    return {
        "standing": {name: value.tolist() for name, value in outcome.robust.items()},
        "seconds": {name: round(outcome.seconds[name], 2) for name in names},
        "total_seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(time.process_time() - cpu_start, 2),
        "passes": {
            name: [outcome.forward_passes[name], outcome.backward_passes[name]]
            for name in names
        },
        "theory": {
            name: list(part.for_classes(classes).image_passes())
            for name, part in attack.attacks.items()
        },
        "notes": outcome.notes,
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }


def show(progress):
    """Prints one line of progress, over the last one."""
    text = (
        f"{progress.attack} {progress.run}/{progress.num_runs}: {progress.num_robust} "
        f"of {progress.num_images} stand, {progress.seconds_left:.0f} s left at most"
    )
    print(f"\r{text:70}", end="", file=sys.stderr, flush=True)


def reference(python, model_path, data_path, **options):
    """The same report of the authors' AutoAttack, from its own interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "report.json"
        command = [python, REFERENCE, model_path, data_path, out]
        command += [f"--{name}={value}" for name, value in options.items()]
        environment = {**os.environ, "OMP_NUM_THREADS": str(options["threads"])}
        start = time.perf_counter()
        subprocess.run([str(part) for part in command], check=True, env=environment)
        seconds = time.perf_counter() - start
        report = json.loads(out.read_text())
    report["total_seconds"] = round(sum(report["seconds"].values()), 2)
    report["seconds_with_start"] = round(seconds, 2)
    return report


def compare(mine, theirs):
    """Rows of a table, and the images on which the two differ in the end."""
    rows = []
    for name, standing in mine["standing"].items():
        other = theirs["standing"].get(name)
        rows.append(
            {
                "attack": name,
                "ours": sum(standing),
                "reference": None if other is None else sum(other),
                "ours_passes": mine["passes"].get(name),
                "reference_passes": theirs["passes"].get(name),
                "ours_seconds": mine["seconds"].get(name),
                "reference_seconds": theirs["seconds"].get(name),
            }
        )
    last_mine = np.array(list(mine["standing"].values())[-1])
    last_theirs = np.array(list(theirs["standing"].values())[-1])
    return {
        "rows": rows,
        "broken_by_ours_only": np.flatnonzero(~last_mine & last_theirs).tolist(),
        "broken_by_reference_only": np.flatnonzero(last_mine & ~last_theirs).tolist(),
        "seconds_ratio": round(mine["total_seconds"] / theirs["total_seconds"], 3),
        "cpu_seconds_ratio": round(mine["cpu_seconds"] / theirs["cpu_seconds"], 3),
    }


def print_table(name, comparison, theory):
    """Prints a comparison as a Markdown table, and what an image costs by theory."""
    print(f"\n{name}: standing, image passes forward + backward, seconds")
    print("| attack | ours | reference | passes, ours | passes, ref. | s | s, ref. |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in comparison["rows"]:
        passes = [
            "-" if row[key] is None else f"{row[key][0]:,} + {row[key][1]:,}"
            for key in ("ours_passes", "reference_passes")
        ]
        print(
            f"| {row['attack']} | {row['ours']} | {row['reference']} | {passes[0]} "
            f"| {passes[1]} | {row['ours_seconds']} | {row['reference_seconds']} |"
        )
    for attack, passes in theory.items():
        print(f"{attack}: {passes[0]} + {passes[1]} passes of an image that stands")
    for key in ("broken_by_ours_only", "broken_by_reference_only"):
        print(f"{key}: images {comparison[key]}")
    print(f"seconds / reference's: {comparison['seconds_ratio']}")
    print(f"CPU seconds / reference's: {comparison['cpu_seconds_ratio']}")


def save(path, name, entry):
    """Adds one case to the JSON file."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results[name] = entry
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_json(path, results)


def run_case(case, args):
    """Runs both sides on one case, prints and saves the comparison."""
    name, model_path, data_path, norm, eps = case.split(",")
    eps = float(fractions.Fraction(eps))
    data = np.load(data_path)
    images, labels = (data[key][: args.num_images] for key in ("images", "labels"))
    every = igam_tf.AutoAttack(eps=eps, norm=norm, version=args.version).attacks
    settings = {
        "norm": norm,
        "eps": eps,
        "seed": args.seed,
        "version": args.version,
        "attacks": args.attacks or ",".join(every),
    }
    mine = ours(model_path, images, labels, **settings)
    theirs = reference(
        args.torch_python,
        model_path,
        data_path,
        num_images=args.num_images,
        threads=args.threads,
        **settings,
    )
    comparison = compare(mine, theirs)
    print_table(name, comparison, mine["theory"])
    entry = {
        "command": " ".join([COMMAND, *sys.argv[1:]]),
        "model": model_path,
        "num_images": len(images),
        "num_parameters": theirs["num_parameters"],
        "threads": args.threads,
        **settings,
        **comparison,
        "theoretical_passes_an_image": mine["theory"],
        "notes": mine["notes"],
        "cpu_seconds": [mine["cpu_seconds"], theirs["cpu_seconds"]],
        "total_seconds": [mine["total_seconds"], theirs["total_seconds"]],
        "versions": {**mine["versions"], "reference": theirs["versions"]},
    }
    save(pathlib.Path(args.out), name, entry)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--torch_python", required=True)
    parser.add_argument(
        "--case",
        action="append",
        required=True,
        metavar="NAME,MODEL,IMAGES,NORM,EPS",
        help="may be given several times",
    )
    parser.add_argument("--num_images", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--version", choices=("standard", "plus"), default="standard")
    parser.add_argument("--attacks", help="some of the version's (default: all)")
    parser.add_argument("--out", default="results/autoattack_reference.json")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    for case in args.case:
        run_case(case, args)


if __name__ == "__main__":
    main()
