"""Input transforms against TensorFlow 1's, as the authors' code uses them.

The input normalisations are compared in `tests/checkpoints/test_golden_parity.py`.
"""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import transforms

pytestmark = pytest.mark.fast

SMALL, LARGE = (32, 32, 3), (64, 64, 3)
CASES = {
    "resize_bilinear_32_to_64": ("legacy_resize", "x32", SMALL, LARGE),
    "resize_bilinear_64_to_32": ("legacy_resize", "x64", LARGE, SMALL),
    "resize_halfpixel_32_to_64_NOT_THE_REFERENCE": ("resize", "x32", SMALL, LARGE),
    "avg_pool2_64_to_32": ("average_pool", "x64", LARGE, SMALL),
    "centre_crop_64_to_32": ("center_crop", "x64", LARGE, SMALL),
    "slice_crop_64_to_32": ("center_crop", "x64", LARGE, SMALL),
    "pad_32_to_64": ("center_pad", "x32", SMALL, LARGE),
    "pad_32_to_36": ("center_pad", "x32", SMALL, (36, 36, 3)),
    "pad_64_to_68": ("center_pad", "x64", LARGE, (68, 68, 3)),
}


@pytest.fixture(scope="module")
def golden(shared_dir):
    return np.load(shared_dir / "golden" / "transforms.npz")


@pytest.mark.parametrize("key", CASES)
def test_transform(golden, key):
    name, images, image_shape, teacher_shape = CASES[key]
    transform = transforms.input_transform(name, image_shape, teacher_shape)
    ours = transform(golden[images] / np.float32(255))
    np.testing.assert_allclose(ours, golden[key] / 255, rtol=0, atol=1e-6)


def test_gradient_of_the_legacy_resize(golden):
    transform = transforms.input_transform("legacy_resize", SMALL, LARGE)
    images = tf.constant(golden["x32"] / np.float32(255))
    with tf.GradientTape() as tape:
        tape.watch(images)
        resized = transform(images)
    ours = tape.gradient(resized, images, tf.constant(golden["grad_y64"]))
    theirs = golden["resize_bilinear_grad_64_to_32"]
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 * np.ptp(theirs))


def test_the_legacy_resize_is_not_todays(golden):
    difference = (
        golden["resize_bilinear_32_to_64"]
        - golden["resize_halfpixel_32_to_64_NOT_THE_REFERENCE"]
    )
    assert np.abs(difference).max() > 10
