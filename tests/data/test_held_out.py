"""Images held out of the training set: which, how many, and what is refused."""

import dataclasses

import numpy as np
import pytest

from igam_tf import data

pytestmark = pytest.mark.fast


def _task(counts=(20, 10), total=None):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    # Each image is its own number; test images have none of these.
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None]
    return data.Task(
        name="numbers",
        num_classes=len(counts),
        image_shape=(1, 1, 1),
        train=data.Split(images, labels),
        test=data.Split(np.full((3, 1, 1, 1), 255, np.uint8), np.zeros(3, np.int32)),
        train_total=total or len(labels),
        test_total=3,
    )


def _numbers(split):
    return split.images.ravel().tolist()


def test_each_class_gives_the_same_part_and_no_test_image_is_used():
    whole = _task()
    task = data.hold_out(whole, 0.2)
    assert task.held_out_fraction == 0.2 and not whole.held_out_fraction
    assert np.bincount(task.test.labels).tolist() == [4, 2]
    assert sorted(_numbers(task.train) + _numbers(task.test)) == list(range(30))
    assert (task.train_total, task.test_total) == (24, 6)
    for split in (task.train, task.test):
        np.testing.assert_array_equal(split.labels, whole.train.labels[_numbers(split)])


def test_the_seed_alone_chooses_and_cuts_change_nothing_else():
    task = data.hold_out(_task(), 0.2)
    cut = data.hold_out(_task(), 0.2, train_examples=5, test_examples=3)
    assert _numbers(cut.train) == _numbers(task.train)[:5]
    assert _numbers(cut.test) == _numbers(task.test)[:3]
    # Every beginning of those held out has the classes in proportion.
    assert np.bincount(cut.test.labels).tolist() == [2, 1]
    assert (cut.train_total, cut.test_total) == (24, 6)
    other = data.hold_out(_task(), 0.2, seed=1)
    assert set(_numbers(other.test)) != set(_numbers(task.test))


@pytest.mark.parametrize("task, arguments, message", [
    (_task(), {"fraction": 1.0}, "fraction=1.0"),
    (_task(), {"fraction": 0.1, "train_examples": 0}, "train_examples"),
    (_task(total=60), {"fraction": 0.1}, "30 of 60"),
    (_task((20, 1)), {"fraction": 0.1}, "class '1' has 1 image"),
])  # fmt: skip
def test_refused(task, arguments, message):
    with pytest.raises(ValueError, match=message):
        data.hold_out(task, **arguments)


def test_streamed_images_are_refused():
    class Streamed:
        shape = (30, 1, 1, 1)
        fetch = None

    whole = _task()
    streamed = data.Split(Streamed(), whole.train.labels)
    with pytest.raises(ValueError, match="stream=false"):
        data.hold_out(dataclasses.replace(whole, train=streamed), 0.1)
