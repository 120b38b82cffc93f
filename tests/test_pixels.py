"""Grey levels become fractions, equally for arrays and tensors."""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf.losses import cross_entropy
from igam_tf.pixels import as_float

pytestmark = pytest.mark.fast


def test_grey_levels_are_divided():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    wanted = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1) / np.float32(255)
    assert as_float(levels).dtype == np.float32
    np.testing.assert_array_equal(as_float(levels), wanted)
    np.testing.assert_array_equal(as_float(tf.constant(levels)), wanted)


def test_fractions_stay_as_they_are():
    images = np.full((1, 2, 2, 1), 0.5, np.float32)
    assert as_float(images) is images
    tensor = tf.constant(images)
    assert as_float(tensor) is tensor


def test_cross_entropy_of_each_image():
    logits = tf.constant([[0.0, 0.0], [0.0, np.log(3.0)]])
    found = cross_entropy(logits, tf.constant([0, 1]))
    np.testing.assert_allclose(found, np.log([2.0, 4 / 3]), rtol=1e-6)
