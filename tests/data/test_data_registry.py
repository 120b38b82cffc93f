"""Names of data sets: known without TensorFlow, extended by users, checked."""

import subprocess
import sys

import numpy as np
import pytest

from igam_tf import data
from igam_tf.data import registry

pytestmark = pytest.mark.fast


@pytest.fixture
def empty_place(monkeypatch):
    """A registry to add to, forgotten after the test."""
    monkeypatch.setattr(registry, "DATASETS", dict(registry.DATASETS))
    monkeypatch.setattr(registry, "_READERS", dict(registry._READERS))


def blocks(images, labels, num_classes=3):
    """A reader that returns these arrays as both splits."""

    def reader(info, data_dir, *, train_examples, test_examples, download, progress):
        del data_dir, download, progress
        return data.Task(
            name=info.name,
            num_classes=num_classes,
            image_shape=info.image_shape,
            train=data.Split(images[:train_examples], labels[:train_examples]),
            test=data.Split(images[:test_examples], labels[:test_examples]),
            train_total=len(labels),
            test_total=len(labels),
        )

    return reader


def test_registry_does_not_import_tensorflow():
    code = (
        "import sys; import igam_tf, igam_tf.data; from igam_tf.data.registry import "
        "DATASETS; from igam_tf.data import Augmentation, DatasetInfo, register; "
        "assert 'cifar10' in DATASETS; "
        "print([m for m in ('tensorflow', 'keras', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_public_names_resolve():
    for name in data.__all__:
        assert getattr(data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'reed'"):
        data.reed  # noqa: B018


def test_known_data_sets():
    found = {n: (i.num_classes, i.image_shape) for n, i in data.DATASETS.items()}
    assert found == {
        "mnist": (10, (28, 28, 1)),
        "cifar10": (10, (32, 32, 3)),
        "cifar100": (100, (32, 32, 3)),
        "stl10": (10, (96, 96, 3)),
        "imagenet2012": (1000, (224, 224, 3)),
        "tiny_imagenet": (200, (64, 64, 3)),
        "digits": (10, (8, 8, 1)),
        "digits_parity": (2, (8, 8, 1)),
        "digits_0_to_7": (8, (8, 8, 1)),
        "points_on_a_line": (2, (1, 2, 1)),
    }
    for name in ("cifar10", "cifar100", "tiny_imagenet"):
        assert data.DATASETS[name].augmentation == data.Augmentation(pad=2, flip=True)
    for name in ("mnist", "digits"):
        assert data.DATASETS[name].augmentation == data.Augmentation()


@pytest.mark.parametrize("name, guess", [("cifar11", "cifar10"), ("MNIST", "mnist")])
def test_unknown_name_gets_the_closest(name, guess):
    with pytest.raises(ValueError, match=f"{name}.*Did you mean '{guess}'") as error:
        data.read(name)
    assert all(known in str(error.value) for known in data.DATASETS)


def test_unknown_name_like_no_other():
    with pytest.raises(ValueError, match="unknown data set 'zzz'. Known: cifar10"):
        data.load("zzz")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"pad": -1}, "pad=-1"),
        ({"pad": 1.5}, "pad=1.5"),
        ({"flip": 1}, "flip=1"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"noise": 8}, "8 grey levels are 8/255"),
        ({"noise": float("nan")}, "noise=nan"),
    ],
)
def test_augmentation_is_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.Augmentation(**arguments)


def test_register_adds_a_data_set(empty_place):
    info = data.DatasetInfo("blocks", 3, (4, 4, 1))
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 1), np.uint8)
    labels = np.arange(9, dtype=np.int32) % 3
    data.register(info, blocks(images, labels))
    task = data.read("blocks", train_examples=5)
    assert (len(task.train), len(task.test), task.train_total) == (5, 9, 9)
    train, test = data.load("blocks", batch_size=4)
    assert (len(train), len(test)) == (3, 3)
    data.register(info, blocks(images, labels))  # a notebook cell run twice
    with pytest.raises(ValueError, match="already registered"):
        data.register(data.DatasetInfo("blocks", 4, (4, 4, 1)), blocks(images, labels))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x, y: (x, y + 1), "blocks, train split: labels range from 1 to 3"),
        (lambda x, y: (x[:, :3], y), r"images are \(3, 4, 1\); expected \(4, 4, 1\)"),
        (lambda x, y: (x.astype("float32"), y), "divide by 255"),
        (lambda x, y: (x / np.float32(0), y), "NaN|inf"),
        (lambda x, y: (x, y.astype("float32")), "labels are float32"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_read_checks_what_a_reader_returns(empty_place, change, message):
    images = np.full((9, 4, 4, 1), 100, np.uint8)
    reader = blocks(*change(images, np.arange(9, dtype=np.int32) % 3))
    data.register(data.DatasetInfo("blocks", 3, (4, 4, 1)), reader)
    with pytest.raises(ValueError, match=message):
        data.read("blocks")


@pytest.mark.parametrize(
    "shape, count", [((3, 4, 4), 3), ((3, 4, 4, 1), 2), ((0, 4, 4, 1), 0)]
)
def test_split_wants_images_and_as_many_labels(shape, count):
    with pytest.raises(ValueError, match=r"expected \[n, height, width, channels\]"):
        data.Split(np.zeros(shape, np.uint8), np.zeros(count, np.int32))


def with_value(value):
    images = np.full((2, 3, 3, 1), 0.5, np.float32)
    images[1, 2, 0, 0] = value
    return images


@pytest.mark.parametrize(
    "images, message",
    [
        (with_value(np.nan), "hold 1 NaN"),
        (with_value(np.inf), "range from 0.5 to inf"),
        (with_value(255), r"range from 0.5 to 255; expected \[0, 1\]: divide by 255"),
        (with_value(-0.5), "range from -0.5 to 0.5.*undo the normalisation"),
        (with_value(1)[0], r"shape \(3, 3, 1\); expected rank 4"),
        (with_value(1).astype("float64"), r'float64.*astype\("float32"\)\.'),
        (with_value(1).astype("uint8"), "uint8.* / 255"),
        (with_value(1)[:0], "there is none"),
    ],
)
def test_check_images(images, message):
    with pytest.raises(ValueError, match=message):
        data.check_images(images)


@pytest.mark.parametrize(
    "labels, message",
    [
        (np.array([0, 10]), "range from 0 to 10; expected 0 to 9 for num_classes=10"),
        (np.array([-1, 3]), "range from -1 to 3"),
        (np.array([0.0, 1.0]), r'float64.*astype\("int32"\)'),
        (np.eye(3, dtype=int), "argmax"),
        (np.array([], int), "empty"),
    ],
)
def test_check_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        data.check_labels(labels, 10)


def test_checks_pass_what_is_right():
    data.check_images(with_value(0.0))
    data.check_images(with_value(1.0))
    data.check_labels(np.arange(10, dtype=np.int32), 10)
