"""Streamed data of TFDS: records found by their place; STL-10 and ImageNet by name."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from test_tfds_by_name import store

from igam_tf import data
from igam_tf.data import registry, streamed
from igam_tf.data.own import records


def test_records_are_streamed_as_they_are_read(tmp_path, monkeypatch):
    store(tmp_path, (None, None, 3))
    options = {"image_size": 5, "center_crop": 0.875, "progress": False}
    memory = data.read("tfds:flowers", tmp_path, stream=False, **options)
    monkeypatch.setattr(records.RecordLabels, "_all", property(_refuse))
    stream = data.read("tfds:flowers", tmp_path, stream=True, **options)
    assert (len(stream.train), len(stream.test)) == (12, 4)
    found = registry.find("tfds:flowers", data_dir=tmp_path, stream=True, image_size=5)
    assert found.augmentation == data.Augmentation(resized_crop=0.08, flip=True)
    for batches in (
        lambda task: data.training_batches(
            task.train, 5, augmentation=data.Augmentation(), seed=1, repeat=False
        ),
        lambda task: data.evaluation_batches(task.test, 3),
    ):
        for a, b in zip(batches(memory), batches(stream), strict=True):
            np.testing.assert_array_equal(a[0], b[0])
            np.testing.assert_array_equal(a[1], b[1])


def _refuse(labels):
    raise AssertionError("all labels were read, though nobody asked for them")


def test_labels_and_split_of_streamed_records(tmp_path):
    store(tmp_path, (6, 8, 3), splits=[("train", 10)])
    options = {"stream": True, "progress": False}
    task = data.read("tfds:flowers", tmp_path, train_examples=6, **options)
    assert (task.train_total, len(task.train), len(task.test)) == (8, 6, 2)
    np.testing.assert_array_equal(task.train.labels[1:3], [*task.train.labels][1:3])
    # The grey level of an image is its number, and every second one is a tulip.
    whole = data.read("tfds:flowers", tmp_path, stream=False, progress=False)
    np.testing.assert_array_equal(task.train.labels, whole.train.labels[:6])
    assert task.train.labels[[0, 2]].tolist() == whole.train.labels[[0, 2]].tolist()


def test_a_split_that_is_not_used_is_not_counted(tmp_path, monkeypatch):
    store(tmp_path, (6, 8, 3), splits=[("train", 10), ("test", 4), ("validation", 4)])
    monkeypatch.setattr(streamed, "STREAM_ABOVE", 14 * 6 * 8 * 3)
    task = data.read("tfds:flowers", tmp_path, progress=False)
    assert len(task.test) == 4 and not task.train.is_streamed


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("stream", [False, True])
def test_others_stand_in_for_images_that_are_cut_off(tmp_path, stream):
    store(tmp_path / "good", (6, 8, 3))
    store(tmp_path / "bad", (6, 8, 3), damaged=(1, 4))
    options = {"stream": stream, "progress": False, "center_crop": 1}
    good = data.read("tfds:flowers", tmp_path / "good", **options).train.images[:]
    levels = good[:, 0, 0, 0]
    options |= {"skip_unreadable": True}
    task = data.read("tfds:flowers", tmp_path / "bad", **options)
    assert (len(task.train), task.train_total, task.test_total) == (10, 10, 3)
    left = good[~np.isin(levels, (1, 4))]
    np.testing.assert_array_equal(task.train.images[:], left)
    np.testing.assert_array_equal(task.train.labels, left[:, 0, 0, 1])
    for count in (1, 8, 10):
        cut = data.read(
            "tfds:flowers", tmp_path / "bad", train_examples=count, **options
        )
        np.testing.assert_array_equal(cut.train.images[:], left[:count])
        np.testing.assert_array_equal(cut.train.labels, left[:count, 0, 0, 1])


def test_damaged_records_are_told(tmp_path):
    store(tmp_path, (6, 8, 3))
    labels = data.read("tfds:flowers", tmp_path, progress=False).train.labels
    (path,) = (tmp_path / "flowers").rglob("*train*tfrecord*")
    contents = bytearray(path.read_bytes())
    start = contents.index(b"\x89PNG")
    contents[start : start + 4] = b"none"
    path.write_bytes(contents)
    options = {"stream": True, "progress": False}
    task = data.read("tfds:flowers", tmp_path, **options)
    with pytest.raises(
        ValueError, match="image 0 of train of tfds:flowers cannot be read .no JPEG"
    ):
        task.train.images[:2]
    with pytest.warns(UserWarning, match="1 images of train cannot be decoded"):
        kept = data.read("tfds:flowers", tmp_path, skip_unreadable=True, **options)
    np.testing.assert_array_equal(kept.train.labels, labels[1:])
    path.write_bytes(contents[:-20])
    with pytest.raises(ValueError, match="is cut off, or holds no TFRecords"):
        data.read("tfds:flowers", tmp_path, **options)


def _store(folder, name, shape, classes, splits):
    """A prepared data set; the grey level of an image is its label, modulo 256."""

    def example(label):
        contents = io.BytesIO()
        size = shape[1::-1] if shape[0] else (40, 30)
        Image.new("RGB", size, (max(label, 0) % 256, 0, 0)).save(contents, "png")
        contents.seek(0)
        return {"image": contents, "label": label}

    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=shape, encoding_format="png"),
                "label": tfds.features.ClassLabel(num_classes=classes),
            }
        ),
        split_datasets={
            split: [(i, example(label)) for i, label in enumerate(labels)]
            for split, labels in splits.items()
        },
        data_dir=folder,
    )


def test_stl10(tmp_path):
    splits = {"train": [3, 9, 0], "test": [7, 1], "unlabelled": [-1] * 4}
    _store(tmp_path, "stl10", (96, 96, 3), 10, splits)
    task = data.read("stl10", tmp_path, progress=False, download=False)
    assert (task.train_total, task.test_total, task.num_classes) == (3, 2, 10)
    assert task.train.images.shape == (3, 96, 96, 3)
    np.testing.assert_array_equal(task.train.labels, [3, 9, 0])
    np.testing.assert_array_equal(task.test.images[:, 50, 50, 0], task.test.labels)
    info = data.DATASETS["stl10"]
    assert info.augmentation == data.Augmentation(pad=6, flip=True)


def test_stl10_of_another_size_is_refused(tmp_path):
    _store(tmp_path, "stl10", (48, 48, 3), 10, {"train": [0], "test": [1]})
    with pytest.raises(ValueError, match=r"\(48, 48, 3, 10\); stl10 has \(96, 96"):
        data.read("stl10", tmp_path, progress=False, download=False)


def test_imagenet_is_tested_on_its_validation_split(tmp_path):
    splits = {"train": [0, 999], "test": [-1], "validation": [5, 6, 7]}
    _store(tmp_path, "imagenet2012", (None, None, 3), 1000, splits)
    task = data.read("imagenet2012", tmp_path, progress=False)
    cut = data.read("imagenet2012", tmp_path, test_examples=2, progress=False)
    assert task.train.is_streamed and task.image_shape == (224, 224, 3)
    assert (task.train_total, task.test_total) == (2, 3)
    ((images, labels),) = data.evaluation_batches(task.test, 4)
    assert images.shape == (3, 224, 224, 3) and {*labels.numpy()} == {5, 6, 7}
    # The grey level is the label, and an image and its label belong together.
    levels = np.round(255 * images.numpy()[:, 100, 100, 0])
    np.testing.assert_array_equal(levels, labels)
    np.testing.assert_array_equal(cut.test.labels, labels[:2])
    assert data.DATASETS["imagenet2012"].augmentation.resized_crop == 0.08
