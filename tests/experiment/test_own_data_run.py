"""A run on a folder of images: its record, and that a changed folder is noticed."""

import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
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


class MyLittleShapes(tfds.core.GeneratorBasedBuilder):
    """Prepared without a download, as TFDS would after one."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(8, 8, 1)),
            "label": tfds.features.ClassLabel(names=["dark", "bright"]),
        }
        features = tfds.features.FeaturesDict(features)
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, manager):
        return {
            "train": self._generate_examples(16),
            "test": self._generate_examples(4),
        }

    def _generate_examples(self, count):
        for i in range(count):
            image = np.full((8, 8, 1), 200 * (i % 2) + i, np.uint8)
            yield i, {"image": image, "label": i % 2}


def test_a_run_that_prepares_its_data_is_gone_on_with(tmp_path):
    """Its folder is made before there are any data to take a record of."""
    asked = experiment(
        "tfds:my_little_shapes", tmp_path / "run", data_dir=str(tmp_path / "tfds"),
        methods=("standard",), epochs=1, width=1, batch_size=8, attacks=("clean",),
        panel_examples=0)  # fmt: skip
    before = RunFolder(asked)
    assert before.own_data["target"]["folder"] is None
    before.record(asked, ())
    results = experiments.run(asked, changes=())
    record = results["data"]["target"]
    assert (record["folder"], record["train"]) == ("1.0.0", 20)
    stored = json.loads((tmp_path / "run" / "flags.json").read_text())
    assert stored["data"]["target"] == record
    again = experiments.run(asked)
    assert again["rows"]["standard"] == results["rows"]["standard"]
    # Looked at while they are away, they may be the same; once read, they are not.
    stored["data"]["target"]["sha256"] = "another"
    (tmp_path / "run" / "flags.json").write_text(json.dumps(stored))
    elsewhere = asked.replace(data_dir=str(tmp_path / "new"))
    RunFolder(elsewhere)
    with pytest.raises(ValueError, match="as many images, other names or contents"):
        experiments.run(elsewhere)
