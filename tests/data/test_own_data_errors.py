"""Everything that is wrong with folders of images, named before long work."""

import numpy as np
import pytest
from own_images import folder, labels_by_colour, picture
from PIL import Image

from igam_tf import data
from igam_tf.data import registry

pytestmark = pytest.mark.fast


def damaged(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-2000])


def test_unreadable_images_are_named_or_left_out(tmp_path):
    folder(tmp_path, count=4)
    (tmp_path / "cat" / "empty.jpg").write_bytes(b"")
    (tmp_path / "dog" / "text.png").write_text("<html>404</html>")
    with pytest.raises(ValueError, match=r"2 files.*empty.jpg.*--skip_unreadable") as e:
        registry.find(tmp_path)
    assert "text.png" in str(e.value)
    with pytest.warns(UserWarning, match="2 files.*are left out"):
        info = registry.find(tmp_path, skip_unreadable=True)
    assert info.train_examples <= 8


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
