"""`igam-tf evaluate`, and `igam_tf.evaluate` beside it."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_models import digits_net, linear_model

from igam_tf.cli import evaluate as command
from igam_tf.cli import importing

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def python(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module", name="model")
def _model(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "digits.keras"
    digits_net().save(path)
    return path


def test_help_needs_no_tensorflow():
    """What would make it slow: seconds, on any machine."""
    done = python("-X", "importtime", "-m", "igam_tf.evaluate", "--help")
    assert done.returncode == 0 and "--transfer_from" in done.stdout
    assert "igam_tf" in done.stderr
    assert "tensorflow" not in done.stderr and "keras" not in done.stderr


def test_a_whole_evaluation(model, tmp_path):
    plain = tmp_path / "plain.keras"
    linear_model((8, 8, 1), num_classes=10)[0].save(plain)
    done = python(
        "-m", "igam_tf.evaluate", str(model), "--dataset=digits", "--eps=0.1",
        "--attacks=clean,pgd5x2,square50", "--max_examples=40", "--panel_examples=20",
        f"--transfer_from={plain}", f"--out={tmp_path}/results.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    found = results["rows"]["digits"]["evaluation"]
    assert list(found["attacks"]) == ["clean", "pgd5x2", "square50"]
    assert found["num_examples"] == 40 and found["eps"] == 0.1
    assert str(plain) in found["panel"]["checks"]["transfer"]["values"]
    assert found["robustbench"]["dataset"] == "digits"
    row = next(line for line in done.stdout.splitlines() if line.startswith("| digits"))
    for entry in found["attacks"].values():
        assert f" {100 * entry['accuracy']:.1f} " in row
    assert "PGD-5 x2" in done.stdout and "Square-50" in done.stdout
    assert "training" not in done.stdout
    # Nothing is left but what was asked for.
    assert {path.name for path in tmp_path.iterdir()} == {"plain.keras", "results.json"}


def test_results_lie_beside_the_model(model, capsys):
    status = command.main(
        [str(model), "--dataset=digits", "--attacks=clean", "--max_examples=8"]
    )
    assert status == 0
    out = model.with_name("digits.results.json")
    assert f"Written to {out}" in capsys.readouterr().out
    results = json.loads(out.read_text())
    assert results["rows"]["digits"]["evaluation"]["num_examples"] == 8


def test_progress_counts_images_and_not_whole_batches(model, tmp_path, capsys):
    """540 images, in five batches of 128."""
    out = f"--out={tmp_path}/results.json"
    arguments = ["--dataset=digits", "--attacks=clean", "--nopanel", out]
    assert command.main([str(model), *arguments]) == 0
    told = capsys.readouterr().out
    assert "/540" in told and "/640" not in told


def test_no_images_are_no_panel(model, capsys):
    arguments = ["--dataset=digits", "--attacks=fgsm", "--max_examples=8"]
    assert command.main([str(model), *arguments, "--panel_examples=0"]) == 0
    results = json.loads(model.with_name("digits.results.json").read_text())
    assert results["rows"]["digits"]["evaluation"]["panel"] is None
    assert "masking" not in capsys.readouterr().out


def test_images_of_ones_own_may_be_brought_to_the_size_of_a_model(
    model, tmp_path, capsys
):
    path = tmp_path / "own.npz"
    images = np.zeros((40, 12, 10, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(40)
    np.savez(path, images=images, labels=np.arange(40) % 10)
    assert command.main([str(model), f"--dataset={path}"]) == 1
    assert "(--image_size=8x8 brings" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere.keras", "--dataset=digits"], "nowhere.keras"),
        (["MODEL", "--dataset=cifar10"], r"takes images of shape \(8, 8, 1\)"),
        (["MODEL", "--dataset=digits_parity"], "returns 10 classes.*has 2"),
        (["MODEL", "--dataset=digits", "--out=/nowhere/r.json"], "no folder /nowhere"),
        (["MODEL", "--dataset=digits", "--eps=8"], "divide by 255"),
        (["MODEL", "--dataset=digits", "--input_range=255,0"], "expected two numbers"),
        (["MODEL", "--dataset=digits", "--output=no"], "the name of one of them"),
        (["MODEL", "--dataset=digits", "--import=x.py"], "no such file"),
        (["MODEL", "--dataset=digits", "--transfer_from=x.keras"], "x.keras"),
        (["MODEL", "--dataset=digits", "--attacks=autoattack", "--batch_norm=batch"],
         "expected batch_norm='inference'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(model, capsys, arguments, message):
    arguments = [str(model) if text == "MODEL" else text for text in arguments]
    assert command.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    with pytest.raises(ValueError, match=message):
        raise ValueError(error)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "required: model, --dataset"),
        (["m.keras", "--dataset=cifar11"], "Did you mean 'cifar10'"),
        (["m.keras", "--dataset=digits", "--attacks=clean,pgdx"], "attack 'pgdx'"),
        (
            ["m.keras", "--dataset=digits", "--eps=large"],
            "'large': expected a finite number",
        ),
        (["m.keras", "--dataset=digits", "--batch_size=0"], "'0': expected a number"),
    ],
)
def test_bad_arguments_are_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as error:
        command.main(arguments)
    assert error.value.code == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


def test_a_file_that_is_no_model(tmp_path, capsys):
    path = tmp_path / "broken.keras"
    path.write_bytes(b"no zip file")
    assert command.main([str(path), "--dataset=digits"]) == 1
    error = capsys.readouterr().err
    assert "broken.keras" in error and error.count("\n") == 1


def test_a_model_of_grey_levels_and_a_layer_of_ones_own(tmp_path, capsys):
    """The flags lead to the accuracy of the network inside."""
    (tmp_path / "own_layers.py").write_text(
        "import keras\n\n\nclass ByGreyLevel(keras.layers.Layer):\n"
        "    def call(self, images):\n        return images / 255.0\n"
    )
    importing.import_files([str(tmp_path / "own_layers.py")])
    layer, images = sys.modules["own_layers"].ByGreyLevel(), keras.Input((8, 8, 1))
    probabilities = keras.layers.Softmax()(digits_net()(layer(images)))
    keras.Model(images, probabilities).save(tmp_path / "grey.keras")
    digits_net().save(tmp_path / "plain.keras")
    common = ["--dataset=digits", "--attacks=clean", "--max_examples=60"]
    flags = ["--input_range=0,255", "--outputs=probabilities"]
    flags.append(f"--import={tmp_path}/own_layers.py")
    found = []
    for name, more in (("plain.keras", []), ("grey.keras", flags)):
        assert command.main([str(tmp_path / name), *common, *more]) == 0
        results = json.loads((tmp_path / name).with_suffix(".results.json").read_text())
        (row,) = results["rows"].values()
        found.append(row["evaluation"]["attacks"]["clean"]["num_correct"])
    assert found[0] == found[1]
    assert command.main([str(tmp_path / "grey.keras"), *common]) == 1
    assert "--outputs=probabilities" in capsys.readouterr().err


def test_the_name_is_the_function_also_as_a_module():
    done = python(
        "-c",
        "import igam_tf.evaluate\nimport igam_tf\nimport igam_tf.evaluate as module\n"
        "from igam_tf.evaluation import evaluate as function\n"
        "import igam_tf.evaluate\n"
        "assert igam_tf.evaluate is function, igam_tf.evaluate\n"
        "assert module is function, module\n",
    )
    assert done.returncode == 0, done.stderr


def test_importing_the_package_stays_cheap():
    done = python("-c", "import sys, igam_tf; assert 'tensorflow' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_a_checkpoint_of_madrylab_is_a_model_too(shared_dir, tfds_dir, tmp_path):
    done = command.main(
        [
            str(shared_dir / "golden" / "cifar_madry_narrow"), "--dataset=cifar10",
            f"--data_dir={tfds_dir}", "--attacks=clean,fgsm", "--max_examples=8",
            "--nopanel", f"--out={tmp_path}/results.json",
        ]
    )  # fmt: skip
    assert done == 0
    assert json.loads((tmp_path / "results.json").read_text())["rows"]


def test_corruptions_and_a_verified_bound(model, tmp_path, capsys):
    out = tmp_path / "results.json"
    status = command.main(
        [str(model), "--dataset=digits", "--attacks=clean", "--max_examples=20",
         "--corruptions=fog,contrast", "--severities=1,5", "--eps=0.02", "--verified",
         f"--out={out}"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    assert status == 0 and "| verified | corruptions |" in printed
    assert "mean of 2 kinds at severity 1, 5, 20 images of each" in printed
    found = json.loads(out.read_text())["rows"]["digits"]["evaluation"]
    assert list(found["corruptions"]["kinds"]) == ["fog", "contrast"]
    assert found["verified"]["num_examples"] == 20


@pytest.mark.parametrize(
    "arguments, status, message",
    [
        (["--corruptions=frog"], 1, "corruption 'frog': expected 'all'"),
        (["--corruptions=all", "--severities=0"], 2, "'0': expected numbers from 1"),
    ],
)
def test_bad_corruptions_are_one_line(model, capsys, arguments, status, message):
    arguments = [str(model), "--dataset=digits", "--attacks=clean", *arguments]
    try:
        assert command.main(arguments) == status
    except SystemExit as error:
        assert error.code == status
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
