"""Everything that is wrong with folders of images, named before long work."""

import numpy as np
import pytest
from own_images import folder, labels_by_colour, picture
from PIL import Image

from igam_tf import data
from igam_tf.data import registry
from igam_tf.data.own.opening import opened
from igam_tf.data.own.options import Options

pytestmark = pytest.mark.fast


def damaged(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def test_unreadable_images_are_named_or_left_out(tmp_path):
    folder(tmp_path, count=9)
    (tmp_path / "cat" / "empty.jpg").write_bytes(b"")
    (tmp_path / "dog" / "text.png").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"2 files.*empty.jpg.*--skip_unreadable") as e:
        registry.find(tmp_path)
    assert "text.png" in str(e.value)
    with pytest.warns(UserWarning, match="2 files.*are left out"):
        info = registry.find(tmp_path, skip_unreadable=True)
    task = data.read(tmp_path, skip_unreadable=True, progress=False)
    assert len(task.train) + len(task.test) == 18
    assert len(task.train) == task.train_total == info.train_examples


@pytest.mark.filterwarnings("ignore:.*left out")
def test_a_class_that_nobody_can_read_is_refused(tmp_path):
    """Left out file by file, it would be an output that nothing is trained for."""
    folder(tmp_path, ("cat", "dog", "eel"))
    for path in (tmp_path / "eel").iterdir():
        path.write_bytes(b"no image")
    with pytest.raises(ValueError, match="none of the training images of 'eel' can be"):
        registry.find(tmp_path, skip_unreadable=True)


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("stream", [False, True])
def test_a_class_all_of_whose_images_are_cut_off_is_refused(tmp_path, stream):
    folder(tmp_path, ("cat", "dog", "eel"), count=4, size=(64, 64))
    for path in (tmp_path / "eel").iterdir():
        damaged(path)
    options = {"skip_unreadable": True, "stream": stream, "progress": False}
    with pytest.raises(ValueError, match="none of the training images of 'eel' can be"):
        data.read(tmp_path, **options)


@pytest.mark.filterwarnings("ignore:.*left out")
@pytest.mark.parametrize("stream", [False, True])
def test_others_stand_in_for_images_that_are_cut_off(tmp_path, stream):
    """What is asked for is read, wherever the bad files are; and totals are of good."""
    folder(tmp_path, count=20, size=(64, 64))
    options = {"skip_unreadable": True, "stream": stream, "progress": False}
    first = opened(str(tmp_path), None, Options(stream=stream)).train.paths[:2]
    for path in first:
        damaged(tmp_path / path)
    if not stream:
        with pytest.raises(ValueError, match="1 file of"):
            data.read(tmp_path, train_examples=1, progress=False)
    one = data.read(tmp_path, train_examples=1, test_examples=3, **options)
    whole = data.read(tmp_path, **options)
    assert (len(one.train), len(one.test)) == (1, 3)
    np.testing.assert_array_equal(one.train.images[:], whole.train.images[:1])
    np.testing.assert_array_equal(one.train.labels, whole.train.labels[:1])
    assert (len(whole.train), whole.train_total, whole.test_total) == (30, 30, 8)
    np.testing.assert_array_equal(
        whole.train.images[:][:, 0, 0, 0] // 10, whole.train.labels
    )
    if not stream:
        assert len(data.hold_out(whole, 0.2).test) == 6


def test_truncated_images_are_found_when_they_are_decoded(tmp_path):
    folder(tmp_path, count=4, size=(64, 64))
    damaged(tmp_path / "cat" / "cut.jpg")
    assert registry.find(tmp_path).image_shape == (64, 64, 3)
    with pytest.raises(ValueError, match="1 file .*cut.jpg.*truncated"):
        data.read(tmp_path, progress=False)
    with pytest.warns(UserWarning, match="cut.jpg"):
        task = data.read(tmp_path, skip_unreadable=True, progress=False)
    assert len(task.train) + len(task.test) == 8
    np.testing.assert_array_equal(labels_by_colour(task.train), task.train.labels)


def empty_class(root):
    folder(root)
    (root / "eel").mkdir()


def other_files(root):
    folder(root)
    (root / "eel").mkdir()
    (root / "eel" / "a.tif").write_text("")


def too_deep(root):
    folder(root / "all")


def other_classes(root):
    folder(root / "train")
    folder(root / "test", ("cat", "eel"))


def other_case(root):
    folder(root / "train")
    folder(root / "test", ("cat", "Dog"))


def loose(root):
    picture(root / "a.png")


def beside(root):
    folder(root)
    picture(root / "a.png")


def only_test(root):
    folder(root / "test")


def hidden_only(root):
    folder(root)
    folder(root / "eel" / ".thumbnails")


def two_tests(root):
    folder(root / "val")
    folder(root / "test")


def long_names(root):
    folder(root / "training_set")
    folder(root / "Test-Images")


def other_test(root):
    folder(root / "train")
    folder(root / "test_set")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda root: folder(root, ("cat",)), r"one class only \('cat'\)"),
        (lambda root: folder(root, ("cat", "Cat")), "'Cat', 'cat' differ in case only"),
        (lambda root: folder(root, count=1), "'cat' has 1 image: expected two"),
        (empty_class, "class 'eel' has no image: .*is empty"),
        (other_files, "class 'eel' has no image: .*holds 1 .tif"),
        (too_deep, "one class only.*'cat', 'dog' look like classes: pass .*all"),
        (other_classes, "different classes: 'dog' in train only; 'eel' in test only"),
        (other_case, "differ in case only"),
        (loose, "1 images and no sub-folders"),
        (beside, "1 images lie beside"),
        (only_test, "Expected train/ beside test/"),
        (hidden_only, "class 'eel' has no image: .*is empty"),
        (two_tests, "'test', 'val', which are named like splits"),
        (long_names, "'Test-Images', 'training_set', which are named like splits"),
        (other_test, "'test_set', 'train', which are named like splits"),
        (lambda root: root.mkdir(exist_ok=True), "no sub-folders"),
    ],
)
def test_folders_that_make_no_sense(tmp_path, make, message):
    make(tmp_path / "data") if make is not only_test else make(tmp_path)
    root = tmp_path if make is only_test else tmp_path / "data"
    with pytest.raises(ValueError, match=message):
        registry.find(root)


def test_a_missing_folder_says_what_may_be_there():
    with pytest.raises(FileNotFoundError, match="no/where does not exist; expected a"):
        data.read("no/where")
    with pytest.raises(ValueError, match="only for data of one's own"):
        data.read("digits", image_size=96)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"image_size": "96y128"}, "image_size='96y128': expected a side"),
        ({"image_size": 2}, "from 4 to 4096"),
        ({"test_fraction": 0}, "test_fraction=0"),
        ({"test_fraction": 1.5}, "test_fraction=1.5"),
        ({"augmentation": "blur"}, "augmentation='blur'"),
    ],
)
def test_options_are_checked(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        registry.find(tmp_path, **options)
