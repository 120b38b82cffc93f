"""Tiny-ImageNet from a zip or a folder in the official layout."""

import io
import shutil
import zipfile

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from igam_tf import data
from igam_tf.data import tiny_imagenet

WNIDS = [f"n{10_000_000 + 37 * i}" for i in range(200)]


def jpeg(level, channels=3, side=64):
    """A picture of one grey level: what survives JPEG exactly enough to tell labels."""
    image = tf.fill([side, side, channels], tf.cast(level, tf.uint8))
    return tf.io.encode_jpeg(image, quality=95).numpy()


def official_files():
    """One training and one test image a class; the level of an image is its label."""
    files = {
        "wnids.txt": "\n".join(reversed(WNIDS)).encode(),
        "words.txt": b"",
        "test/images/test_0.JPEG": jpeg(0),
    }
    lines = []
    for label, wnid in enumerate(WNIDS):
        image = jpeg(label, channels=1 if label % 5 == 0 else 3)
        files[f"train/{wnid}/images/{wnid}_0.JPEG"] = image
        boxes = f"{wnid}_0.JPEG\t0\t0\t9\t9\n".encode()
        files[f"train/{wnid}/{wnid}_boxes.txt"] = boxes
        files[f"val/images/val_{label}.JPEG"] = image
        lines.append(f"val_{label}.JPEG\t{wnid}\t0\t0\t9\t9\n")
    files["val/val_annotations.txt"] = "".join(lines).encode()
    return files


@pytest.fixture(scope="module")
def official():
    return official_files()


def write_zip(path, files, top="tiny-imagenet-200/"):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(top + name, content)
    return path


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def read(data_dir):
    return data.read("tiny_imagenet", data_dir, download=False, progress=False)


def assert_official(task):
    """Labels are positions in the sorted wnids; grayscale has become RGB."""
    assert (task.train_total, task.test_total) == (200, 200)
    for split in (task.train, task.test):
        assert split.images.shape == (200, 64, 64, 3) and split.images.dtype == np.uint8
        assert sorted(split.labels) == list(range(200))
        difference = split.images - split.labels[:, None, None, None].astype(int)
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("top", ["tiny-imagenet-200/", "", "other/tiny-imagenet-200/"])
def test_a_zip_is_prepared_in_place(top, official, tmp_path):
    files = {"__MACOSX/._wnids.txt": b"\0", **official}
    write_zip(tmp_path / "tiny-imagenet-200.zip", files, top)
    assert_official(read(tmp_path))
    prepared = tmp_path / "tiny_imagenet" / "1.0.0"
    assert (prepared / "dataset_info.json").exists()
    assert not list(tmp_path.rglob("*.JPEG"))  # nothing was extracted
    (tmp_path / "tiny-imagenet-200.zip").unlink()
    assert_official(read(tmp_path))  # the prepared data is enough from now on
    builder = tfds.builder("tiny_imagenet", data_dir=tmp_path)
    assert builder.info.features["label"].names == sorted(WNIDS)


def test_a_folder_gives_what_the_zip_gives(official, tmp_path):
    write_folder(tmp_path / "a" / "tiny-imagenet-200", official)
    write_zip(tmp_path / "b" / "tiny-imagenet-200.zip", official)
    folder, archive = read(tmp_path / "a"), read(tmp_path / "b")
    assert_official(folder)
    np.testing.assert_array_equal(folder.train.images, archive.train.images)
    np.testing.assert_array_equal(folder.test.labels, archive.test.labels)


def test_a_cut_is_the_beginning_over_several_files(official, tmp_path):
    """The whole train split of the official size is several .tfrecord files."""
    archive = write_zip(tmp_path / "tiny-imagenet-200.zip", official)
    builder = tiny_imagenet.TinyImagenet(archive=archive, data_dir=tmp_path)
    config = tfds.download.DownloadConfig(num_shards=3)
    builder.download_and_prepare(download_config=config)
    assert len(list(tmp_path.rglob("*-train.tfrecord*"))) == 3
    whole = read(tmp_path)
    cut = data.read("tiny_imagenet", tmp_path, train_examples=100, progress=False)
    np.testing.assert_array_equal(cut.train.images, whole.train.images[:100])


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_data_dir_may_be_the_zip_or_folder_itself(kind, official, tmp_path):
    if kind == "zip":
        path = write_zip(tmp_path / "my-copy.zip", official)
    else:
        path = write_folder(tmp_path / "my-copy", official)
    assert_official(read(path))
    assert_official(read(path))
    assert (tmp_path / "tiny_imagenet" / "1.0.0").is_dir()
    other = dict(official)
    other["val/val_annotations.txt"] = b"".join(
        official["val/val_annotations.txt"].splitlines(keepends=True)[:100]
    )
    with pytest.raises(ValueError, match="prepared from another archive.*Delete"):
        read(write_zip(tmp_path / "smaller.zip", other))


def test_the_real_subset(shared_dir, tmp_path):
    archive = shared_dir / "data" / "tiny-imagenet-200-subset.zip"
    (tmp_path / archive.name).symlink_to(archive)
    task = read(tmp_path)
    assert (task.train_total, task.test_total) == (6000, 2000)
    assert (np.bincount(task.train.labels) == 30).all()
    assert (np.bincount(task.test.labels) == 10).all()
    assert task.train.images.std() > 50
    builder = tfds.builder("tiny_imagenet", data_dir=tmp_path)
    names = builder.info.features["label"].names
    with zipfile.ZipFile(archive) as opened:
        prefix = "tiny-imagenet-200/"
        wnids = opened.read(prefix + "wnids.txt").decode().split()
        raw = opened.read(f"{prefix}train/{wnids[7]}/images/{wnids[7]}_3.JPEG")
    assert names == sorted(wnids)
    image = tf.io.decode_jpeg(raw, channels=3).numpy()
    (position,) = np.flatnonzero((task.train.images == image).all((1, 2, 3)))
    assert names[task.train.labels[position]] == wnids[7]
    cut = data.read("tiny_imagenet", tmp_path, train_examples=40, test_examples=3)
    np.testing.assert_array_equal(cut.train.images, task.train.images[:40])
    assert (len(cut.test), cut.test_total) == (3, 2000)


def without(files, name):
    return {key: value for key, value in files.items() if key != name}


FIRST = f"train/{WNIDS[0]}/images/{WNIDS[0]}_0.JPEG"


@pytest.mark.parametrize(
    "change, kind, message",
    [
        (lambda f: without(f, "wnids.txt"), FileNotFoundError, "no wnids.txt"),
        (
            lambda f: without(f, "val/val_annotations.txt"),
            FileNotFoundError,
            "no val/val_annotations.txt",
        ),
        (lambda f: f | {FIRST: b"\xff\xd8 no"}, ValueError, f"{FIRST} in .* JPEG"),
        (lambda f: f | {FIRST: f[FIRST][:300]}, ValueError, f"{FIRST} in .* JPEG"),
        (lambda f: f | {FIRST: jpeg(3, side=32)}, ValueError, f"{FIRST}.* 32x32"),
        (lambda f: f | {"wnids.txt": b"n1 n2"}, ValueError, "names 2 classes"),
        (lambda f: f | {"wnids.txt": b"\xff\xfe\x00"}, ValueError, "not a text"),
        (
            lambda f: f | {"val/val_annotations.txt": b"val_0.JPEG\tn9\n"},
            ValueError,
            "line 1 of val/val_annotations.txt.*n9",
        ),
        (lambda f: f | {"val/val_annotations.txt": b"\n"}, ValueError, "is empty"),
        (
            lambda f: f | {"train/n9/images/a.JPEG": b""},
            ValueError,
            "n9 is not in wnids.txt",
        ),
        (
            lambda f: without(f, FIRST),
            FileNotFoundError,
            f"lacks 1 of 400 images, the first is {FIRST}",
        ),
        (
            lambda f: without(f, "val/images/val_7.JPEG"),
            FileNotFoundError,
            "lacks 1 of 400 images, the first is val/images/val_7.JPEG",
        ),
        (
            lambda f: {k: v for k, v in f.items() if WNIDS[3] not in k},
            FileNotFoundError,
            f"no training images of class {WNIDS[3]}",
        ),
    ],
)
@pytest.mark.parametrize("write", [write_zip, write_folder])
def test_wrong_contents(write, change, kind, message, official, tmp_path):
    name = "tiny-imagenet-200" + (".zip" if write is write_zip else "")
    write(tmp_path / name, change(official))
    with pytest.raises(kind, match=message) as error:
        read(tmp_path)
    assert "tiny-imagenet-200" in str(error.value)
    assert not list((tmp_path / "tiny_imagenet").iterdir())  # nothing half done


def test_after_an_error_the_right_zip_works(official, tmp_path):
    path = tmp_path / "tiny-imagenet-200.zip"
    write_zip(path, official | {FIRST: b"no image"})
    with pytest.raises(ValueError, match="readable JPEG"):
        read(tmp_path)
    write_zip(path, official)
    assert_official(read(tmp_path))


@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_zip_that_is_only_a_beginning(keep, official, tmp_path):
    path = write_zip(tmp_path / "tiny-imagenet-200.zip", official)
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * keep))
    with pytest.raises(ValueError, match="not a zip, or only the beginning"):
        read(tmp_path)


def test_a_zip_with_flipped_bytes_names_the_file(official, tmp_path):
    path = write_zip(tmp_path / "tiny-imagenet-200.zip", official)
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("tiny-imagenet-200/" + FIRST).header_offset + 300
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\x12\x34\x56")
    with pytest.raises(ValueError, match=f"{FIRST} in .*corrupt"):
        read(tmp_path)


def test_several_zips_need_a_choice(official, tmp_path):
    write_zip(tmp_path / "tiny-imagenet-200-a.zip", official)
    write_zip(tmp_path / "tiny-imagenet-200-b.zip", official)
    with pytest.raises(ValueError, match="200-a.zip, tiny-imagenet-200-b.zip; give"):
        read(tmp_path)
    assert_official(read(tmp_path / "tiny-imagenet-200-b.zip"))


def test_no_right_to_write(official, tmp_path):
    """A file where the folder should be stands for it: root may write everywhere."""
    write_zip(tmp_path / "tiny-imagenet-200.zip", official)
    (tmp_path / "tiny_imagenet").write_text("in the way")
    with pytest.raises(PermissionError, match="no right to write.*--data_dir"):
        read(tmp_path)


def test_no_room(official, tmp_path, monkeypatch):
    write_zip(tmp_path / "tiny-imagenet-200.zip", official)
    full = shutil.disk_usage(tmp_path)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(OSError, match="needs .* MB in .* 0 MB are free"):
        read(tmp_path)


def test_nothing_there(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="off.*tiny-imagenet-200.zip"):
        read(tmp_path)

    def offline(*args, **kwargs):
        raise requests.ConnectionError("no network in this test")

    monkeypatch.setattr(requests, "head", offline)
    with pytest.raises(FileNotFoundError, match="cannot be downloaded") as error:
        data.read("tiny_imagenet", tmp_path / "new")
    assert tiny_imagenet.URL in str(error.value)
    assert str(tmp_path / "new") in str(error.value)
    assert not (tmp_path / "new").exists()


def test_the_official_address_is_downloaded(official, tmp_path, monkeypatch):
    """TFDS' own download, answered from memory in place of the network."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in official.items():
            archive.writestr("tiny-imagenet-200/" + name, content)
    asked = []

    def answer(session, url, **kwargs):
        asked.append(url)
        response = requests.Response()
        response.status_code, response.url = 200, url
        response.raw = io.BytesIO(buffer.getvalue())
        response.headers["Content-length"] = str(len(buffer.getvalue()))
        return response

    monkeypatch.setattr(requests, "head", lambda *args, **kwargs: None)
    monkeypatch.setattr(requests.Session, "get", answer)
    assert_official(data.read("tiny_imagenet", tmp_path, progress=False))
    assert asked == [tiny_imagenet.URL]
    assert (tmp_path / "tiny_imagenet" / "1.0.0").is_dir()
