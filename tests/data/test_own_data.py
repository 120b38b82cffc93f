"""Images of one's own: folders, tables, arrays; and everything wrong with them."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from igam_tf import data
from igam_tf.data import registry
from igam_tf.data.own import splits

pytestmark = pytest.mark.fast


def picture(path, colour=(200, 30, 30), size=(12, 10), mode="RGB", **options):
    """Writes an image of one colour; `size` is (width, height), as Pillow has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path, **options)
    return path


def folder(root, classes=("cat", "dog"), count=5, **options):
    """A folder of classes; the red of an image is ten times its class."""
    for label, name in enumerate(classes):
        for i in range(count):
            picture(root / name / f"{i}.png", (10 * label, i, 0), **options)
    return root


def labels_by_colour(split):
    return split.images[:, 0, 0, 0] // 10


# ---------------------------------------------------------------- folders


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
    from igam_tf.data.own import pictures

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


# ------------------------------------------------------- what is wrong with folders


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


# ---------------------------------------------------------------- arrays


def arrays(count=20, dtype=np.uint8):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None]
    images = np.broadcast_to(images * 12, (count, 5, 4, 3)).copy()
    return images.astype(dtype), np.arange(count) % 2


def test_npz_of_one_level_and_a_pair_of_npy(tmp_path):
    images, labels = arrays()
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    np.save(tmp_path / "i.npy", images)
    np.save(tmp_path / "l.npy", labels[:, None])
    pair = f"{tmp_path}/i.npy,{tmp_path}/l.npy"
    for name in (str(tmp_path / "all.npz"), pair):
        task = data.read(name)
        assert (len(task.train), len(task.test), task.image_shape) == (16, 4, (5, 4, 3))
        numbers = task.train.images[:, 0, 0, 0] // 12
        np.testing.assert_array_equal(numbers % 2, task.train.labels)
    assert registry.find(pair).class_names == ("0", "1")


@pytest.mark.parametrize(
    "scale, dtype", [(1, np.uint8), (1, np.float64), (1 / 255, np.float32)]
)
def test_npz_of_two_levels_in_any_range(tmp_path, scale, dtype):
    images, labels = arrays()
    x = (images * scale).astype(dtype)[..., 0]
    one_hot = np.eye(2)[labels]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=one_hot, x_test=x, y_test=labels)
    task = data.read(tmp_path / "a.npz", test_examples=6)
    assert task.image_shape == (5, 4, 1) and len(task.test) == 6
    top = task.train.images.max()
    assert float(top) == pytest.approx(228 if dtype == np.uint8 else 228 / 255)
    assert sorted(task.test.labels) == [0, 0, 0, 1, 1, 1]


def with_arrays(**changes):
    images, labels = arrays()
    return {"images": images, "labels": labels, **changes}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"labels": arrays()[1] + 1}, "no image of '?0"),
        ({"labels": arrays()[1] * 0}, r"one class only \('0'\)"),
        ({"labels": arrays()[1] - 1}, "expected whole numbers from 0"),
        ({"labels": arrays()[1][:3]}, "expected .n, height, width, channels"),
        ({"images": np.zeros((20, 3, 8, 8), np.uint8)}, "the channels come first"),
        ({"images": arrays()[0] // 255}, "in whole numbers; expected grey levels"),
        ({"images": arrays()[0].astype("f4") / 100}, "16"),
        ({"images": arrays()[0].astype("f4") - 1}, "range from -1 to 227"),
        ({"images": arrays()[0] * np.float32(np.nan)}, "NaN"),
        ({"images": np.full((20, 4, 4, 3), None)}, "damaged, or holds no plain arrays"),
    ],
)
def test_arrays_that_make_no_sense(tmp_path, changes, message):
    np.savez(tmp_path / "a.npz", **with_arrays(**changes))
    with pytest.raises(ValueError, match=message):
        data.read(tmp_path / "a.npz")


def test_files_of_arrays_that_are_none(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match="a.npz is damaged"):
        registry.find(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", pixels=np.zeros(3))
    with pytest.raises(ValueError, match="holds the arrays 'pixels'; expected images"):
        registry.find(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", np.zeros(3))
    with pytest.raises(ValueError, match="images.npy,labels.npy"):
        registry.find(tmp_path / "c.npy")
    images, labels = arrays()
    np.savez(tmp_path / "d.npz", images=images, labels=labels)
    with pytest.raises(ValueError, match="arrays have one size"):
        registry.find(tmp_path / "d.npz", image_size=8)


# ---------------------------------------------------------------- tables


def write_table(path, rows, head="path,label"):
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def test_a_table_of_paths(tmp_path):
    folder(tmp_path / "images", count=5)
    rows = [f"images/{c}/{i}.png,{c}" for c in ("dog", "cat") for i in range(5)]
    task = data.read(write_table(tmp_path / "t.csv", rows), progress=False)
    assert task.class_names == ("cat", "dog")
    assert (task.train_total, task.test_total) == (8, 2)
    np.testing.assert_array_equal(labels_by_colour(task.train), task.train.labels)
    tabs = [
        f"images/{c}/{i}.png\t{n}\t{'val' if i else 'train'}"
        for c, n in (("cat", 2), ("dog", 10))
        for i in range(3)
    ]
    path = write_table(tmp_path / "t.tsv", tabs, "File\tClass\tSplit")
    task = data.read(path, progress=False)
    assert task.class_names == ("2", "10")
    assert (task.train_total, task.test_total) == (2, 4)


def test_a_parquet_table(tmp_path, monkeypatch):
    parquet = pytest.importorskip("pyarrow.parquet")
    import pyarrow

    folder(tmp_path, count=3)
    paths = [f"{c}/{i}.png" for c in ("cat", "dog") for i in range(3)]
    table = pyarrow.table({"file_name": paths, "label": [0, 0, 0, 1, 1, 1]})
    parquet.write_table(table, tmp_path / "t.parquet")
    task = data.read(tmp_path / "t.parquet", progress=False)
    assert task.class_names == ("0", "1") and task.train_total == 4
    (tmp_path / "u.parquet").write_text("none")
    with pytest.raises(ValueError, match="is no Parquet table"):
        registry.find(tmp_path / "u.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ValueError, match="pip install pyarrow"):
        registry.find(tmp_path / "u.parquet", split_seed=1)


@pytest.mark.parametrize(
    "head, rows, message",
    [
        ("a,b", ["x.png,0"], "no column with the path of an image among 'a', 'b'"),
        ("path,b", ["x.png,0"], "no column with its class"),
        ("path,label", ["x.png,0", "y.png"], "row 2 has 1 values"),
        ("path,label", ["x.png,0", ",1"], "row 2 has the path ''"),
        ("path,label", ["x.png,0", "x.png,1"], "'x.png' is there more than once"),
        ("path,label", ["x.png,0", "y.png,0"], "one class only"),
        ("path,label", ["x.png,0", "y.png,1"], "'0' has 1 image"),
        ("path,label,split", ["x.png,0,a", "y.png,1,b"], "column of splits holds 'a'"),
        ("path,label,split", ["x.png,0,train", "y.png,1,test"], "different classes"),
        ("path,label", ["x.png,0", "y.png,1"] * 1 + ["z.png,0", "w.png,1"], "No such"),
    ],
)
def test_tables_that_make_no_sense(tmp_path, head, rows, message):
    with pytest.raises(ValueError, match=message):
        registry.find(write_table(tmp_path / "t.csv", rows, head))
