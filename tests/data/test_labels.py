"""Labels as data sets give them, and images that a resize put out of range."""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import data

pytestmark = pytest.mark.fast

NUMBERS = np.array([2, 0, 1, 2])


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS,
        NUMBERS[:, None],
        np.eye(3)[NUMBERS],
        np.eye(3, dtype=np.uint8)[NUMBERS],
        np.eye(3, dtype=bool)[NUMBERS],
        tf.one_hot(NUMBERS, 3),
    ],
    ids=["numbers", "column", "float", "uint8", "bool", "tensor"],
)
def test_class_numbers(labels):
    np.testing.assert_array_equal(data.class_numbers(labels, 3), NUMBERS)
    assert data.class_numbers(labels).shape == (4,)


@pytest.mark.parametrize(
    "labels, message",
    [
        (0.9 * np.eye(3)[NUMBERS] + 0.1 / 3, "4 of the rows are not exactly one-hot"),
        (np.array([[1, 0, 1], [0, 1, 0]]), "1 of the rows"),
        (np.array([[0, 0, 0], [0, 1, 0]]), "1 of the rows"),
        (np.eye(4)[NUMBERS], "one-hot rows of 3 columns"),
    ],
)
def test_other_rows_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        data.class_numbers(labels, 3)


def test_a_column_is_not_told_to_take_argmax_only():
    with pytest.raises(ValueError, match=r"a column into numbers with labels\[:, 0\]"):
        data.check_labels(NUMBERS[:, None], 3)


def images(low, high):
    return np.linspace(low, high, 12, dtype=np.float32).reshape(1, 2, 2, 3)


@pytest.mark.parametrize(
    "low, high, message",
    [
        (-0.04, 1.03, "bicubic or Lanczos resize overshoots by so much; clip them"),
        (0.0, 255.0, "divide by 255"),
        (-3.0, 259.0, "divide by 255 and clip"),
        (-2.1, 2.6, "undo the normalisation"),
        (0.0, 4.0, "scale them"),
    ],
)
def test_the_way_out_fits_the_range(low, high, message):
    with pytest.raises(ValueError, match=message):
        data.check_images(images(low, high))


def test_a_bicubic_resize_is_told_to_clip():
    # A white square on black.
    square = tf.pad(tf.ones([1, 4, 4, 1]), [[0, 0], [2, 2], [2, 2], [0, 0]])
    resized = tf.image.resize(square, [16, 16], method="bicubic")
    assert resized.numpy().min() < -0.03
    with pytest.raises(ValueError, match="clip them"):
        data.check_images(resized)
    data.check_images(tf.clip_by_value(resized, 0.0, 1.0))


def test_rounding_is_taken():
    data.check_images(images(-1e-6, 1 + 1e-6))
