"""A run on a folder of images: its record, and that a changed folder is noticed."""

import numpy as np
import pytest
from PIL import Image

import igam_tf
from igam_tf import experiment as experiments
from igam_tf.experiment.folder import RunFolder


@pytest.fixture
def shapes(tmp_path):
    """Grey images of 8 x 8 pixels: bright above, or below."""
    root = tmp_path / "shapes"
    for name, rows in (("above", slice(0, 4)), ("below", slice(4, 8))):
        (root / name).mkdir(parents=True)
        for i in range(10):
            pixels = np.full((8, 8), 10 * i, np.uint8)
            pixels[rows] += 100
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


def experiment(target, run_dir, **flags):
    return experiments.Experiment(
        source="digits", target=str(target), run_dir=str(run_dir), **flags
    )


def test_a_run_records_own_data_and_names_their_classes(shapes, tmp_path, capsys):
    """One epoch of one row: the whole way from a folder to a card."""
    asked = experiment(
        shapes, tmp_path / "run", methods=("standard",), epochs=1, width=1,
        batch_size=8, attacks=("clean",), panel_examples=0, optimizer="adam",
        learning_rate=1e-3)  # fmt: skip
    results = experiments.run(asked, changes=())
    assert (
        "Target shapes: 16 training and 4 test images of 8x8x1; classes above, below."
        in capsys.readouterr().out
    )
    record = results["data"]["target"]
    assert record["classes"] == ["above", "below"]
    assert (record["train"], record["test"]) == (16, 4)
    assert results["title"] == "digits -> shapes"
    assert results["rows"]["standard"]["evaluation"]["num_examples"] == 4
    _, card = igam_tf.load(tmp_path / "run" / "standard" / "student.keras")
    assert card["task"]["classes"] == ["above", "below"]
    assert card["settings"]["target"] == card["task"]["name"] == "shapes"
    text = (tmp_path / "run" / "standard" / "student.card.md").read_text()
    assert "classes 0 to 1: above, below." in text
    assert str(tmp_path) not in text

    RunFolder(asked)  # goes on
    Image.new("L", (8, 8)).save(shapes / "above" / "more.png")
    with pytest.raises(
        ValueError, match="--target=.*data have changed.*train 16, now 1"
    ):
        RunFolder(asked)
    (shapes / "above" / "more.png").unlink()
    RunFolder(asked)
    Image.new("L", (8, 8)).save(shapes / "above" / "3.png")
    with pytest.raises(ValueError, match="as many images, other names or contents"):
        RunFolder(asked)
