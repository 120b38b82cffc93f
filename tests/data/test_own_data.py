"""Folders of images: read as they should be, with a split that does not move."""

import os
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
from own_images import folder, labels_by_colour, picture
from PIL import Image

from igam_tf import data
from igam_tf.data import registry
from igam_tf.data.own import pictures, splits

pytestmark = pytest.mark.fast


def test_a_folder_of_one_level(tmp_path):
    path = folder(tmp_path / "my photos")
    task = data.read(path, progress=False)
    assert (task.name, task.class_names) == ("my_photos", ("cat", "dog"))
    assert (task.num_classes, task.image_shape) == (2, (10, 12, 3))
    assert (len(task.train), len(task.test)) == (8, 2)
    for split in (task.train, task.test):
        assert split.images.dtype == np.uint8
        np.testing.assert_array_equal(labels_by_colour(split), split.labels)
    assert sorted(task.test.labels) == [0, 1]
    # A beginning has the classes in proportion.
    assert sorted(data.read(path, train_examples=2, progress=False).train.labels) == [
        0,
        1,
    ]


def test_the_split_is_the_same_anywhere_and_follows_its_own_seed(tmp_path):
    first = folder(tmp_path / "a", count=10)
    shutil.copytree(first, tmp_path / "elsewhere" / "b")

    def tested(path, **options):
        test = data.read(path, progress=False, **options).test
        return {image[0, 0].tobytes() for image in test.images}

    assert tested(first) == tested(tmp_path / "elsewhere" / "b")
    assert tested(first) != tested(first, split_seed=1)
    assert len(tested(first, test_fraction=0.5)) == 10
    whole = data.read(first, progress=False, test_fraction=1)
    assert len(whole.test) == len(whole.train) == 20


def test_train_alone_is_split_as_the_folder_around_it(tmp_path):
    """A model of the one is never tested by the other on what it was trained with."""
    folder(tmp_path / "photos" / "train", count=10)
    around = data.read(tmp_path / "photos", progress=False)
    inside = data.read(tmp_path / "photos" / "train", progress=False)
    np.testing.assert_array_equal(around.test.images, inside.test.images)
    np.testing.assert_array_equal(around.train.images, inside.train.images)


def test_hidden_folders_of_a_class_are_ignored(tmp_path):
    """Notebooks and photo programs leave copies of the images there."""
    path = folder(tmp_path / "photos", count=4)
    shutil.copytree(path / "cat", path / "cat" / "kittens")
    before = registry.fingerprint(str(path))
    assert before["train"] + before["test"] == 12
    for name in (".ipynb_checkpoints", "__MACOSX", "kittens/.thumbnails/small"):
        shutil.copytree(path / "dog", path / "cat" / name)
    picture(path / "dog" / "._0.png")
    assert registry.fingerprint(str(path)) == before
    # Where the folder itself is, is nobody's business.
    shutil.copytree(path, tmp_path / ".cache" / "photos")
    assert registry.fingerprint(str(tmp_path / ".cache" / "photos")) == before


def test_classes_named_by_numbers_out_of_order_are_told(tmp_path):
    folder(tmp_path / "padded", ("02", "10"))
    folder(tmp_path / "plain", ("2", "10"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry.find(tmp_path / "padded")
    with pytest.warns(UserWarning, match="class 0 is '10', not '2'"):
        assert registry.find(tmp_path / "plain").class_names == ("10", "2")


@pytest.mark.parametrize("held_out", ["test", "val", "Validation"])
def test_folders_of_splits(tmp_path, held_out):
    folder(tmp_path / "train", count=3)
    folder(tmp_path / held_out, count=2)
    task = data.read(tmp_path, progress=False)
    assert (task.train_total, task.test_total, task.num_classes) == (6, 4, 2)
    np.testing.assert_array_equal(labels_by_colour(task.test), task.test.labels)


def test_sizes_that_differ_are_shown_and_made_one(tmp_path):
    folder(tmp_path, count=2)
    picture(tmp_path / "cat" / "large.jpg", size=(40, 20))
    with pytest.raises(ValueError, match="from 10x12 to 20x40.*most often 10x12") as e:
        registry.find(tmp_path)
    assert "--image_size=96" in str(e.value) and "shortest side of all is 10" in str(
        e.value
    )
    assert registry.find(tmp_path, image_size=8).image_shape == (8, 8, 3)
    task = data.read(tmp_path, image_size="6x9", progress=False)
    assert task.train.images.shape[1:] == (6, 9, 3)


def test_the_centre_is_kept(tmp_path):
    """Of 4 x 12 pixels a square of the shorter side is the middle third."""
    pixels = np.zeros((4, 12, 3), np.uint8)
    pixels[:, 4:8] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = pictures.decode(tmp_path / "a.png", 3, (4, 4))
    np.testing.assert_array_equal(found, 255)


def test_all_formats_and_modes_become_rgb(tmp_path):
    picture(tmp_path / "a" / "rgb.jpg")
    picture(tmp_path / "a" / "grey.jpeg", 100, mode="L")
    picture(tmp_path / "a" / "cmyk.JPG", (0, 255, 255, 0), mode="CMYK")
    picture(tmp_path / "b" / "alpha.png", (0, 0, 0, 0), mode="RGBA")
    picture(tmp_path / "b" / "palette.gif", mode="RGB")
    picture(tmp_path / "b" / "web.webp", lossless=True)
    picture(tmp_path / "b" / "bitmap.bmp")
    (tmp_path / "b" / "Thumbs.db").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    task = data.read(tmp_path, test_fraction=1, progress=False)
    assert task.image_shape == (10, 12, 3)
    a = task.test.images[task.test.labels == 0][:, 5, 5].tolist()
    # Pure magenta and yellow ink is red.
    assert any(red > 200 and green < 60 and blue < 60 for red, green, blue in a)
    assert [100, 100, 100] in a
    b = task.test.images[task.test.labels == 1][:, 5, 5].tolist()
    assert [255, 255, 255] in b and b.count([200, 30, 30]) == 3


def test_a_folder_as_batches(tmp_path):
    folder(tmp_path, count=5)
    train, test = data.load(tmp_path, image_size=8, batch_size=3, augmentation="flip")
    assert (len(train), len(test)) == (3, 1)
    for images, labels in train:
        assert images.shape[1:] == (8, 8, 3)
        # Mirrored at most: no shifted crop has brought black borders.
        reds = np.round(images.numpy()[:, 0, 0, 0] * 25.5)
        np.testing.assert_array_equal(reds, labels)


def test_names_that_are_no_text(tmp_path):
    folder(tmp_path)
    odd = os.fsencode(tmp_path / "cat") + b"/\xff.png"
    try:
        shutil.copy(os.fsencode(tmp_path / "cat" / "0.png"), odd)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    assert registry.fingerprint(str(tmp_path))["train"] == 9


def test_grey_folders_have_one_channel_and_16_bits_are_scaled(tmp_path):
    for name, value in (("a", 0), ("b", 65535)):
        (tmp_path / name).mkdir()
        grey = np.full((4, 4), value, np.uint16)
        for i in range(2):
            Image.fromarray(grey).save(tmp_path / name / f"{i}.png")
    task = data.read(tmp_path, progress=False)
    assert task.image_shape == (4, 4, 1)
    assert sorted(task.train.images[:, 0, 0, 0]) == [0, 255]
    assert registry.find(tmp_path).augmentation == data.Augmentation()
    colour = registry.find(folder(tmp_path / "c"))
    assert colour.augmentation == data.Augmentation(pad=1, flip=True)
    none = registry.find(tmp_path / "c", augmentation="none")
    assert none.augmentation == data.Augmentation()


def test_photographs_are_turned_as_exif_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a", "b"):
        for i in range(2):
            picture(tmp_path / name / f"{i}.jpg", size=(20, 10), exif=exif)
    assert registry.find(tmp_path).image_shape == (20, 10, 3)
    assert data.read(tmp_path, progress=False).train.images.shape[1:] == (20, 10, 3)


def test_names_and_paths_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(tmp_path / "photos")
    folder(tmp_path / "mnist")
    assert registry.find("mnist") is data.DATASETS["mnist"]
    assert registry.find("photos").name == "photos"
    assert registry.find("./mnist").class_names == ("cat", "dog")
    names = ["a/b.npz", "x/i.npy,x/l.npy", "tfds:a/b", "photos/", "cifar10"]
    found = [registry.short_name(name) for name in names]
    assert found == ["b", "i", "a_b", "photos", "cifar10"]


def test_a_folder_is_looked_at_without_tensorflow(tmp_path):
    folder(tmp_path)
    code = (
        "import sys; from igam_tf.data import registry; "
        f"registry.fingerprint({str(tmp_path)!r}); print('tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_a_fingerprint_is_of_contents(tmp_path):
    path = folder(tmp_path / "a")
    shutil.copytree(path, tmp_path / "copy" / "a")
    first = registry.fingerprint(str(path))
    assert first["classes"] == ["cat", "dog"] and (first["train"], first["test"]) == (
        8,
        2,
    )
    assert registry.fingerprint(str(tmp_path / "copy" / "a")) == first
    picture(path / "cat" / "0.png", (7, 7, 7))
    assert registry.fingerprint(str(path))["sha256"] != first["sha256"]
    picture(path / "cat" / "new.png")
    assert registry.fingerprint(str(path))["train"] == 9


def test_splits_are_stratified_and_never_empty():
    labels = np.repeat([0, 1, 2], [100, 10, 2])
    keys = [f"{i}.png" for i in range(112)]
    train, test = splits.stratified(labels, keys, "abc", test_fraction=0.2, seed=0)
    assert np.bincount(labels[test]).tolist() == [20, 2, 1]
    assert not set(train) & set(test) and len(train) + len(test) == 112
    assert np.bincount(labels[train[:46]]).tolist() in ([40, 4, 1], [41, 4, 1])
