"""Training from the command line, without TensorFlow."""

import csv
import json

import keras
import numpy as np
import pytest

from igam_tf import attacks, data, export, training
from igam_tf.export.runner import Losses

BATCH, IMAGES = 16, 100


@pytest.fixture
def exported(make_network, tmp_path):
    """An exported step, an exported attack on its student, and a file of images."""
    split = data.read("digits", train_examples=IMAGES).train
    images, labels = split.images, (split.labels % 4).astype("int32")
    np.savez(tmp_path / "train.npz", images=images, labels=labels)
    method = training.StandardTraining(make_network())
    method.compile(keras.optimizers.Adam(1e-2))
    batch = (images[:BATCH], labels[:BATCH])
    augmentation = data.Augmentation(pad=1)
    export.export_step(method, batch, tmp_path / "step", augmentation=augmentation)
    attack = attacks.fgsm(eps=0.1)
    export.export_attack(method, attack, batch, tmp_path / "fgsm", save_state=False)
    return tmp_path


def flags(folder, out, epochs):
    return (
        folder / "step",
        f"--data={folder / 'train.npz'}",
        f"--epochs={epochs}",
        f"--out={folder / out}",
        f"--test={folder / 'train.npz'}",
        f"--attack={folder / 'fgsm'}",
    )


def test_resumed_training_is_the_same(exported, run_jax):
    run_jax("-m", "igam_tf.export.runner", *flags(exported, "whole", 4))
    run_jax("-m", "igam_tf.export.runner", *flags(exported, "parts", 2))
    resumed = run_jax("-m", "igam_tf.export.runner", *flags(exported, "parts", 4))
    assert "going on after step 12" in resumed.stdout
    whole = np.load(exported / "whole" / "state.npz")
    parts = np.load(exported / "parts" / "state.npz")
    start = np.load(exported / "step" / "state.npz")
    assert set(whole.files) == set(parts.files) == set(start.files)
    for name in whole.files:
        np.testing.assert_array_equal(whole[name], parts[name])
    assert any((whole[n] != start[n]).any() for n in whole.files if "student" in n)

    histories = []
    for out in ("whole", "parts"):
        with open(exported / out / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        histories.append([{**row, "seconds": ""} for row in rows])
    assert histories[0] == histories[1]
    assert [int(row["step"]) for row in histories[0]] == [6, 12, 18, 24]
    first, last = histories[0][0], histories[0][-1]
    assert float(last["loss"]) < float(first["loss"])
    assert float(last["test_attacked"]) <= float(last["test_clean"])
    assert float(last["test_clean"]) > 0.5


def test_bad_input_is_one_line(exported, run_jax):
    three = np.zeros([3, 8, 8, 1], np.uint8)
    np.savez(exported / "few.npz", images=three, labels=[1, 2, 3])
    np.savez(exported / "labels.npz", images=three, labels=[1, 4, 3])
    np.savez(exported / "wrong.npz", pictures=np.zeros([3]))
    cases = {
        ("step", "few.npz"): "at least the exported batch of 16",
        ("step", "wrong.npz"): "expected 'images' and 'labels'",
        ("step", "labels.npz"): "has the classes 0 to 3",
        ("nowhere", "few.npz"): "expected a folder written by",
    }
    for (folder, file), message in cases.items():
        done = run_jax(
            "-m",
            "igam_tf.export.runner",
            exported / folder,
            f"--data={exported / file}",
            "--epochs=1",
            f"--out={exported / 'bad'}",
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr.startswith("error: ") and message in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not (exported / "bad").exists()


def test_the_earlier_name_says_what_it_is_now(run_jax):
    told = run_jax("-m", "igam_tf.pjrt", "--help")
    assert "is now `python -m igam_tf.export.runner`" in told.stderr
    assert told.stdout.startswith("usage: python -m igam_tf.export.runner")
    told = run_jax("-W", "error", "-c", "import igam_tf.pjrt", check=False)
    assert "igam_tf.pjrt is now igam_tf.export.runner" in told.stderr


def test_made_up_state_is_good_for_timing(exported, run_jax):
    (exported / "step" / "state.npz").unlink()
    script = (
        "import json, sys, numpy as np\n"
        "from igam_tf.export import runner\n"
        "step, data = runner.load(sys.argv[1]), np.load(sys.argv[2])\n"
        "step.random_state()\n"
        f"batch = [data[k][:{BATCH}] for k in ('images', 'labels')]\n"
        "losses = [step.run(*batch)['loss'] for _ in range(3)]\n"
        "print(json.dumps([losses, step.step]))\n"
    )
    done = run_jax("-c", script, exported / "step", exported / "train.npz")
    losses, count = json.loads(done.stdout)
    assert count == 3 and len(set(losses)) == 3 and np.isfinite(losses).all()
    refused = run_jax(
        "-m", "igam_tf.export.runner", *flags(exported, "out", 1), check=False
    )
    assert refused.returncode == 1 and "save_state=False" in refused.stderr


def test_losses_are_means_over_images():
    names = ["loss", "difference"]
    plain = Losses(names, np.float32([2.0, 0.0]), np.float32([1.0, 0.0]))
    matching = Losses(names, np.float32([4.0, 6.0]), np.float32([1.0, 2.0]))
    assert dict(plain) == {"loss": 2.0, "difference": 0.0}
    # Steps without a value do not dilute it.
    assert dict(Losses.mean([plain, matching])) == {"loss": 3.0, "difference": 3.0}
    with pytest.raises(KeyError):
        plain["accuracy"]
