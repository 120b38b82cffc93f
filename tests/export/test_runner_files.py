"""What the runner reads from files: one sentence about each that is not right."""

import re

import numpy as np
import pytest

from igam_tf.export.runner import __main__ as command
from igam_tf.export.runner import checks, folder, training

pytestmark = pytest.mark.fast

MANIFEST = {
    "batch_size": 2,
    "image_shape": [2, 2, 1],
    "num_classes": 3,
    "image_dtype": "float32",
}
IMAGES, LABELS = np.zeros([4, 2, 2, 1], np.float32), np.array([0, 1, 2, 0])


def damaged_files(path):
    np.savez(path / "whole.npz", images=IMAGES, labels=LABELS)
    whole = (path / "whole.npz").read_bytes()
    flipped = bytearray(whole)
    flipped[200] ^= 255
    (path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (path / "flipped.npz").write_bytes(bytes(flipped))
    (path / "empty.npz").write_bytes(b"")
    (path / "text.npz").write_text("images")
    with open(path / "array.npz", "wb") as file:
        np.save(file, IMAGES)
    np.savez(path / "objects.npz", images=np.array([None]), labels=LABELS)
    return ("half", "flipped", "empty", "text", "array", "objects")


def test_damaged_arrays_are_named(tmp_path):
    for name in damaged_files(tmp_path):
        path = tmp_path / f"{name}.npz"
        begin = re.escape(f"{path} is no .npz file, or a damaged one (")
        with pytest.raises(ValueError, match=f"{begin}.*expected one of np.savez"):
            training.read_arrays(path)
        with pytest.raises(ValueError, match=f"{begin}.*expected a state.npz"):
            folder.read_state(path)
    images, labels = training.read_arrays(tmp_path / "whole.npz")
    np.testing.assert_array_equal(images, IMAGES)
    np.testing.assert_array_equal(labels, LABELS)


def test_a_damaged_manifest_is_named(tmp_path):
    path = tmp_path / folder.MANIFEST
    for text, message in {
        "{": "is damaged",
        "[]": "is damaged",
        '{"format": 1}': "is of the kind None: expected one of",
        '{"format": 1, "kind": "model"}': "is of the kind 'model'",
        '{"format": 2}': "has format 2",
    }.items():
        path.write_text(text)
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))} {message}"):
            folder.read_manifest(tmp_path)


def test_images_and_labels_have_their_ranges():
    checks.check_data(IMAGES, LABELS, MANIFEST)
    checks.check_data(np.full([4, 2, 2, 1], 255, np.uint8), LABELS, MANIFEST)
    cases = (
        (IMAGES + 255, LABELS, "range from 255 to 255: expected float32 in"),
        (IMAGES * np.nan, LABELS, "range from nan to nan"),
        (IMAGES, LABELS + 0.5, "labels are float64: expected whole numbers"),
        (IMAGES, np.eye(3)[LABELS], r"and labels \(n,\)"),
        ([0.0], [0], "expected equally many"),
    )
    for images, labels, message in cases:
        with pytest.raises(ValueError, match=message):
            checks.check_data(images, labels, MANIFEST)
    with pytest.raises(ValueError, match="labels are float64"):
        checks.as_batch(IMAGES[:2], LABELS[:2] + 0.5, MANIFEST)


@pytest.mark.parametrize("counts", [{"epochs": 0}, {"epochs": 3, "save_every": 0}])
def test_counts_of_epochs_are_checked_first(counts, tmp_path):
    name = list(counts)[-1]
    with pytest.raises(ValueError, match=f"{name}=0: expected a whole number of 1"):
        training.train(None, IMAGES, LABELS, out=tmp_path / "out", **counts)
    assert not (tmp_path / "out").exists()


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys):
    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)
    assert command.main(["step", "--data=train.npz", "--out=trained"]) == 1
    assert capsys.readouterr().err == (
        "interrupted; the same command goes on after the last saved epoch\n"
    )
