"""Reading: prepared data as it is, cuts, and one clear error for all that is wrong."""

import io
import logging
import shutil
import socket
import tarfile

import numpy as np
import pytest
import requests
import tensorflow as tf
from tensorflow_datasets.core.download import download_manager

from igam_tf import data


@pytest.fixture
def no_network(monkeypatch):
    """Any attempt to reach the network fails, at once; the list says who tried."""
    tried = []

    def refuse(*args, **kwargs):
        del kwargs
        tried.append(args)
        raise socket.gaierror("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tried


@pytest.fixture
def mnist_copy(tfds_dir, tmp_path):
    """A prepared MNIST to damage: (data_dir, its version's folder)."""
    shutil.copytree(tfds_dir / "mnist", tmp_path / "mnist")
    (folder,) = (tmp_path / "mnist").iterdir()
    return tmp_path, folder


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_prepared_data_is_read_without_network(name, tfds_dir, no_network):
    task = data.read(name, tfds_dir, progress=False)
    info = data.DATASETS[name]
    assert (task.name, task.num_classes) == (name, info.num_classes)
    assert task.train.images.shape == (600, *info.image_shape)
    assert task.test.images.shape == (200, *info.image_shape)
    assert task.train.images.dtype == np.uint8
    assert task.train.labels.dtype == np.int32
    assert (task.train_total, task.test_total) == (600, 200)
    assert task.train.images.max() > 200 and task.train.images.std() > 30
    assert len(np.unique(task.train.labels)) > 0.9 * info.num_classes
    assert not no_network


def test_read_images_are_those_that_were_prepared(shared_dir, tfds_dir):
    """A pixel-exact check: the same images with the same labels, in any order."""
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "prepare", shared_dir / "data" / "prepare.py"
    )
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    images, labels = prepare.load("cifar10", "test", 200)
    split = data.read("cifar10", tfds_dir, train_examples=1).test
    found = {(i.tobytes(), int(n)) for i, n in zip(split.images, split.labels)}
    assert found == {(i.tobytes(), int(n)) for i, n in zip(images, labels)}


def test_a_cut_is_the_beginning_and_is_told(tfds_dir):
    whole = data.read("cifar10", str(tfds_dir))
    cut = data.read("cifar10", tfds_dir, train_examples=70, test_examples=1)
    np.testing.assert_array_equal(cut.train.images, whole.train.images[:70])
    np.testing.assert_array_equal(cut.train.labels, whole.train.labels[:70])
    np.testing.assert_array_equal(cut.test.images, whole.test.images[:1])
    assert (cut.train_total, cut.test_total) == (600, 200)
    more = data.read("cifar10", tfds_dir, train_examples=10_000)
    assert len(more.train) == more.train_total == 600


def test_a_cut_decodes_only_what_it_keeps(mnist_copy):
    """Behind the cut the file may even be damaged."""
    data_dir, folder = mnist_copy
    (record,) = folder.glob("mnist-train*")
    with record.open("r+b") as file:
        file.truncate(record.stat().st_size // 2)
    assert len(data.read("mnist", data_dir, train_examples=50).train) == 50


@pytest.mark.parametrize("value", [0, -3, 2.5, True, "10"])
@pytest.mark.parametrize("argument", ["train_examples", "test_examples"])
def test_bad_cuts(argument, value):
    with pytest.raises(ValueError, match=f"{argument}=.*expected a whole number"):
        data.read("digits", **{argument: value})


def test_the_newest_version_is_taken(mnist_copy):
    data_dir, folder = mnist_copy
    (data_dir / "mnist" / "3.0.10").mkdir()  # without dataset_info.json: not prepared
    shutil.copytree(folder, data_dir / "mnist" / "2.0.0")
    (data_dir / "mnist" / "2.0.0" / "features.json").unlink()
    assert data.read("mnist", data_dir, test_examples=1).train_total == 600


def test_not_prepared_and_not_to_be_downloaded(tmp_path, no_network):
    with pytest.raises(FileNotFoundError, match="downloading is off") as error:
        data.read("cifar10", tmp_path, download=False)
    for part in ("cifar10/3.0.2", "--data_dir", "cifar-10-binary.tar.gz", "tfds.load"):
        assert part in str(error.value)
    assert str(tmp_path) in str(error.value)
    assert not no_network and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mnist", "cifar100"])
def test_not_prepared_and_no_network(name, tmp_path, no_network):
    with pytest.raises(FileNotFoundError, match="cannot be downloaded") as error:
        data.read(name, tmp_path / "new", progress=False)
    # TFDS alone tries eleven times, for 200 s.
    assert 0 < len(no_network) < 5
    assert "no answer from https://" in str(error.value)
    assert f"{tmp_path}/new/{name}/" in str(error.value)
    assert not (tmp_path / "new").exists()


def cifar_archive(path, images, labels):
    """Writes images in the format of the official cifar-10-binary.tar.gz."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    rows = np.concatenate([labels[:, None].astype(np.uint8), planes], axis=1)
    files = {"batches.meta.txt": "\n".join(f"class{i}" for i in range(10)).encode()}
    for i, part in enumerate(np.split(rows, 6)):
        name = f"data_batch_{i + 1}.bin" if i < 5 else "test_batch.bin"
        files[name] = part.tobytes()
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_original_archive_by_hand_without_network(tmp_path, monkeypatch, no_network):
    """The place that the error names works; TFDS refuses another checksum there."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (60, 32, 32, 3), np.uint8)
    labels = np.arange(60) % 10
    path = tmp_path / "downloads" / "manual" / "cifar-10-binary.tar.gz"
    cifar_archive(path, images, labels)
    with pytest.raises(OSError, match="could not be prepared.*wrong checksum"):
        data.read("cifar10", tmp_path, progress=False)
    monkeypatch.setattr(
        download_manager.DownloadManager,
        "_register_or_validate_checksums",
        lambda self, **kwargs: None,
    )
    task = data.read("cifar10", tmp_path, progress=False)
    assert (task.train_total, task.test_total) == (50, 10)
    found = {i.tobytes() for i in task.test.images}
    assert found == {i.tobytes() for i in images[50:]}
    assert not no_network


def truncate(folder):
    (record,) = folder.glob("mnist-train*")
    with record.open("r+b") as file:
        file.truncate(record.stat().st_size - 100)


def drop_records(folder):
    (record,) = folder.glob("mnist-test*")
    examples = list(tf.data.TFRecordDataset(str(record)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(record)) as writer:
        for example in examples[:-3]:
            writer.write(example)


def break_png(folder):
    (record,) = folder.glob("mnist-test*")
    examples = list(tf.data.TFRecordDataset(str(record)).as_numpy_iterator())
    with tf.io.TFRecordWriter(str(record)) as writer:
        for example in examples:
            writer.write(example.replace(b"IHDR", b"XXXX"))


def remove_records(folder):
    (record,) = folder.glob("mnist-train*")
    record.unlink()


def break_info(folder):
    text = (folder / "dataset_info.json").read_text()
    (folder / "dataset_info.json").write_text(text[:300])


def break_features(folder):
    text = (folder / "features.json").read_text()
    (folder / "features.json").write_text(text[:100])


@pytest.mark.parametrize(
    "damage",
    [truncate, drop_records, break_png, remove_records, break_info, break_features],
)
def test_damaged_data(damage, mnist_copy):
    data_dir, folder = mnist_copy
    damage(folder)
    with pytest.raises(ValueError, match="is damaged.*Delete that folder") as error:
        data.read("mnist", data_dir)
    assert str(folder) in str(error.value)


def test_another_data_set_under_the_name(mnist_copy):
    data_dir, folder = mnist_copy
    (data_dir / "cifar10").mkdir()
    folder.rename(data_dir / "cifar10" / folder.name)
    with pytest.raises(ValueError, match=r"\(28, 28, 1, 10\).*\(32, 32, 3, 10\)"):
        data.read("cifar10", data_dir)


def test_labels_of_a_prepared_set_are_checked(mnist_copy, monkeypatch):
    """As for a label file of another data set: 255 of 10 classes."""
    from igam_tf.data import registry

    info = data.DatasetInfo("mnist", 10, (28, 28, 1))
    monkeypatch.setitem(registry.DATASETS, "mnist", info)
    data_dir, folder = mnist_copy
    (record,) = folder.glob("mnist-test*")
    rows = list(tf.data.TFRecordDataset(str(record)).as_numpy_iterator())
    example = tf.train.Example.FromString(rows[0])
    example.features.feature["label"].int64_list.value[:] = [25]
    with tf.io.TFRecordWriter(str(record)) as writer:
        for row in (example.SerializeToString(), *rows[1:]):
            writer.write(row)
    with pytest.raises(ValueError, match="mnist, test split: labels range.* to 25"):
        data.read("mnist", data_dir)


def test_what_tfds_warns_itself_of_is_held_back(mnist_copy, monkeypatch):
    """A user of ours can do nothing about it. Other warnings pass."""
    from igam_tf.data import prepared

    told, logger, decode = [], logging.getLogger("absl"), prepared._decode
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())

    def warns(*args, **kwargs):
        logger.warning(
            "`FeatureConnector.dtype` is deprecated. Please change your code"
        )
        logger.warning("another")
        return decode(*args, **kwargs)

    monkeypatch.setattr(prepared, "_decode", warns)
    monkeypatch.setattr(logger, "handlers", [handler])
    data.read("mnist", mnist_copy[0], train_examples=2, test_examples=2)
    assert told == ["another"] * 2
    logger.warning("`FeatureConnector.dtype` is deprecated, says another program")
    assert len(told) == 3


def test_data_dir_is_a_file(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is a file; expected the folder"):
        data.read("mnist", tmp_path / "file")


def test_no_right_to_write(tmp_path, monkeypatch):
    """A file where the folder should be stands for it: root may write everywhere."""
    monkeypatch.setattr(requests, "head", lambda url, timeout: None)
    (tmp_path / "downloads").write_text("x")
    with pytest.raises(OSError, match="mnist could not be prepared.*right to write"):
        data.read("mnist", tmp_path, progress=False)


def test_digits_are_one_fixed_stratified_split(no_network):
    digits, parity = data.read("digits"), data.read("digits_parity")
    assert (digits.train_total, digits.test_total) == (1257, 540)
    assert (digits.num_classes, parity.num_classes) == (10, 2)
    assert digits.train.images.dtype == np.float32
    data.check_images(digits.train.images)
    assert set(np.unique(digits.train.images * 16)) == set(range(17))
    for one, other in ((digits.train, parity.train), (digits.test, parity.test)):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_array_equal(one.labels % 2, other.labels)
        shares = np.bincount(one.labels) / len(one.labels)
        assert shares.max() - shares.min() < 0.01
    everything = np.concatenate([digits.train.images, digits.test.images])
    from sklearn.datasets import load_digits

    original = load_digits().images[..., None] / 16
    assert sorted(i.tobytes() for i in everything.astype("float64")) == sorted(
        i.tobytes() for i in original
    )
    eight = data.read("digits_0_to_7")
    assert (eight.num_classes, eight.train_total, eight.test_total) == (8, 1009, 434)
    for part, whole in ((eight.train, digits.train), (eight.test, digits.test)):
        np.testing.assert_array_equal(part.images, whole.images[whole.labels < 8])
        np.testing.assert_array_equal(part.labels, whole.labels[whole.labels < 8])
    # The split must never change: runs of different days are compared.
    assert digits.test.labels[:12].tolist() == [1, 4, 5, 6, 9, 1, 2, 2, 2, 0, 7, 5]
    cut = data.read("digits_parity", train_examples=100, test_examples=9)
    np.testing.assert_array_equal(cut.train.images, parity.train.images[:100])
    assert (len(cut.test), cut.test_total) == (9, 540)
