"""Data sets of TFDS that are not registered, read from prepared folders."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from igam_tf import data
from igam_tf.data import registry


def store(
    folder,
    shape,
    splits=(("train", 12), ("validation", 4)),
    config=None,
    damaged=(),
):
    """A prepared data set `flowers` of two classes, an image a grey level."""
    features = {
        "photo": tfds.features.Image(shape=shape, encoding_format="png"),
        "kind": tfds.features.ClassLabel(names=["rose", "tulip"]),
        "id": tfds.features.Text(),
    }

    def example(i):
        size = (8, 6) if shape[0] else (8 + i, 6 + i)
        contents = io.BytesIO()
        Image.new("RGB", size, (i, i % 2, 0)).save(contents, "png")
        if i in damaged:
            contents = io.BytesIO(contents.getvalue()[:40])
        contents.seek(0)
        return {"photo": contents, "kind": i % 2, "id": str(i)}

    tfds.dataset_builders.store_as_tfds_dataset(
        name="flowers",
        config=config,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets={
            name: [(i, example(i)) for i in range(count)] for name, count in splits
        },
        data_dir=folder,
    )


def test_images_of_one_size_and_a_validation_split(tmp_path):
    store(tmp_path, (6, 8, 3))
    info = registry.find("tfds:flowers", data_dir=tmp_path)
    assert (info.name, info.class_names) == ("flowers", ("rose", "tulip"))
    assert info.image_shape == (6, 8, 3)
    task = data.read("tfds:flowers", tmp_path, progress=False, download=False)
    assert (task.train_total, task.test_total) == (12, 4)
    np.testing.assert_array_equal(task.train.images[:, 0, 0, 1], task.train.labels)
    cut = data.read("tfds:flowers", tmp_path, train_examples=3, progress=False)
    np.testing.assert_array_equal(cut.train.images, task.train.images[:3])
    record = registry.fingerprint("tfds:flowers", data_dir=tmp_path)
    assert record["folder"] == "1.0.0" and record["train"] == 16


def test_images_of_any_size_one_split_and_a_config(tmp_path):
    store(tmp_path, (None, None, 3), splits=[("train", 10)], config="small")
    with pytest.raises(ValueError, match="different sizes. Pass --image_size"):
        registry.find("tfds:flowers/small", data_dir=tmp_path)
    task = data.read("tfds:flowers/small", tmp_path, image_size=5, progress=False)
    assert (task.name, task.image_shape) == ("flowers_small", (5, 5, 3))
    assert (len(task.train), len(task.test)) == (8, 2)
    np.testing.assert_array_equal(task.train.images[:, 0, 0, 1], task.train.labels)
    levels = {*task.train.images[:, 0, 0, 0], *task.test.images[:, 0, 0, 0]}
    assert levels == set(range(10))


def test_a_name_that_tfds_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="tfds:flauers: there is no flauers in"):
        registry.find("tfds:flauers", data_dir=tmp_path)


def test_a_class_of_one_image_names_the_data(tmp_path):
    store(tmp_path, (6, 8, 3), splits=[("train", 3)])
    with pytest.raises(ValueError, match="^flowers: class 'tulip' has 1 image"):
        data.read("tfds:flowers", tmp_path, progress=False, download=False)


def test_a_config_that_is_not_named_is_found_where_it_is_prepared(tmp_path):
    """The first config of a data set stands in a folder of its own."""
    store(tmp_path, (6, 8, 3), config="small")
    task = data.read("tfds:flowers", tmp_path, progress=False, download=False)
    assert (task.train_total, task.test_total) == (12, 4)
    assert registry.fingerprint("tfds:flowers", data_dir=tmp_path)["folder"] == "1.0.0"
