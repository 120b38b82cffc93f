"""Every input transform against its matrix A of Eq. 15, made with NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import transforms
from igam_tf.transforms import input_transforms, seen_pixels


def _crop_axis(size_in, size_out):
    start = (size_in - size_out) // 2
    return np.eye(size_in)[start : start + size_out]


def _pad_axis(size_in, size_out):
    return _crop_axis(size_out, size_in).T


def _pool_axis(size_in, size_out):
    return np.kron(
        np.eye(size_out), np.full((1, size_in // size_out), size_out / size_in)
    )


def _bilinear_axis(size_in, size_out):
    """Half-pixel centres, edges repeated."""
    matrix = np.zeros((size_out, size_in))
    for row in range(size_out):
        position = (row + 0.5) * size_in / size_out - 0.5
        low = int(np.floor(position))
        for index, weight in ((low, 1 - (position - low)), (low + 1, position - low)):
            matrix[row, np.clip(index, 0, size_in - 1)] += weight
    return matrix


def _smooth_axis(size_in, size_out):
    """Means of whole pixels, then bilinear."""
    pool = max(size_in // size_out, 1)
    rest = size_in // pool
    pooled = np.kron(np.eye(rest), np.full((1, pool), 1 / pool))
    pooled = np.pad(pooled, ((0, 0), (0, size_in - pooled.shape[1])))
    return _bilinear_axis(rest, size_out) @ pooled


def _legacy_axis(size_in, size_out):
    matrix = np.zeros((size_out, size_in))
    for row in range(size_out):
        position = row * size_in / size_out
        low = int(position)
        matrix[row, low] += 1 - (position - low)
        matrix[row, min(low + 1, size_in - 1)] += position - low
    return matrix


_MEAN, _SAME, _REPEAT = np.full((1, 3), 1 / 3), np.eye(3), np.ones((3, 1))
CASES = {
    "resize up": ("resize", (8, 8, 3), (16, 16, 3), _bilinear_axis, _SAME),
    "resize down": ("resize", (16, 16, 3), (8, 8, 3), _bilinear_axis, _SAME),
    "legacy": ("legacy_resize", (8, 8, 3), (12, 12, 3), _legacy_axis, _SAME),
    "smooth down": ("smooth_resize", (20, 20, 3), (8, 8, 3), _smooth_axis, _SAME),
    "smooth up": ("smooth_resize", (8, 8, 3), (12, 12, 3), _smooth_axis, _SAME),
    "pool": ("average_pool", (16, 16, 3), (8, 8, 3), _pool_axis, _SAME),
    "crop": ("center_crop", (11, 11, 3), (8, 8, 3), _crop_axis, _SAME),
    "pad": ("center_pad", (8, 8, 3), (13, 13, 3), _pad_axis, _SAME),
    "random_pad": ("random_pad", (8, 8, 3), (13, 13, 3), _pad_axis, _SAME),
    "mnist": ("mean_channels+center_crop", (32, 32, 3), (28, 28, 1), _crop_axis, _MEAN),
    "grey to colour": ("resize", (8, 8, 1), (16, 16, 3), _bilinear_axis, _REPEAT),
    "auto": ("auto", (16, 16, 3), (8, 8, 1), _pool_axis, _MEAN),
}


@pytest.mark.parametrize("case", CASES)
def test_transform_is_its_matrix(case):
    name, image_shape, teacher_shape, axis, channels = CASES[case]
    rows = axis(image_shape[0], teacher_shape[0])
    columns = axis(image_shape[1], teacher_shape[1])
    matrix = np.kron(np.kron(rows, columns), channels)
    rng = np.random.default_rng(0)
    images = rng.random((2, *image_shape)).astype("float32")
    upstream = rng.random((2, *teacher_shape)).astype("float32")
    transform = transforms.input_transform(name, image_shape, teacher_shape)
    tensor = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        inputs = transform(tensor)
    gradient = tape.gradient(inputs, tensor, tf.constant(upstream))
    # x' = A x, and the teacher's gradient comes back as A^T g (Eq. 17).
    np.testing.assert_allclose(
        inputs.numpy().reshape(2, -1), images.reshape(2, -1) @ matrix.T, atol=1e-5
    )
    np.testing.assert_allclose(
        gradient.numpy().reshape(2, -1), upstream.reshape(2, -1) @ matrix, atol=1e-5
    )


def test_auto_follows_the_paper():
    cases = {
        ((32, 32, 3), (28, 28, 1)): ["mean_channels", "center_crop"],
        ((64, 64, 3), (32, 32, 3)): ["average_pool"],
        ((32, 32, 3), (64, 64, 3)): ["resize"],
        ((32, 32, 3), (32, 32, 3)): [],
        # A crop would keep a tenth of the image; or no crop fits both sides.
        ((100, 100, 3), (32, 32, 3)): ["smooth_resize"],
        ((40, 20, 1), (32, 32, 3)): ["smooth_resize"],
        ((20, 20, 3), (8, 8, 1)): ["mean_channels", "smooth_resize"],
    }
    for (image_shape, teacher_shape), parts in cases.items():
        assert input_transforms._automatic_parts(image_shape, teacher_shape) == parts


def test_transpose_convolution_is_trained():
    transform = transforms.input_transform("transpose_conv", (32, 32, 3), (64, 64, 3))
    assert [v.shape for v in transform.trainable_variables] == [(3, 3, 3, 3), (3,)]


def test_random_pad_draws_one_offset_an_image_and_none_outside_of_training():
    images = np.ones((50, 4, 4, 1), "float32")
    transform = transforms.input_transform("random_pad", (4, 4, 1), (8, 8, 1))
    with transforms.random_offsets(tf.constant([1, 2])):
        padded, again = transform(images).numpy(), transform(images).numpy()
    with transforms.random_offsets(tf.constant([1, 3])):
        other = transform(images).numpy()
    np.testing.assert_array_equal(padded, again)
    assert (padded != other).any()
    np.testing.assert_array_equal(padded.sum(axis=(1, 2, 3)), 16)
    tops = {int(image.any(axis=(1, 2)).argmax()) for image in padded}
    lefts = {int(image.any(axis=(0, 2)).argmax()) for image in padded}
    assert tops == lefts == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(transform(images)[0, 2:6, 2:6, 0], np.ones((4, 4)))


def test_the_discriminator_sees_the_window_that_cropping_keeps():
    window = transforms.gradient_window
    assert window("auto", (32, 32, 3), (28, 28, 1)) == (28, 28)
    assert window("center_crop", (64, 64, 3), (32, 32, 3)) == (32, 32)
    assert window("average_pool", (64, 64, 3), (32, 32, 3)) is None
    assert window("center_pad", (32, 32, 3), (64, 64, 3)) is None


@pytest.mark.parametrize(
    "name, image_shape, teacher_shape",
    [
        ("center_crop", (8, 8, 3), (16, 16, 3)),
        ("average_pool", (9, 9, 3), (4, 4, 3)),
        ("center_pad", (16, 16, 3), (8, 8, 3)),
        ("transpose_conv", (8, 8, 3), (24, 24, 3)),
        ("none", (8, 8, 3), (16, 16, 3)),
        ("rotate", (8, 8, 3), (8, 8, 3)),
    ],
)
def test_sizes_that_cannot_match(name, image_shape, teacher_shape):
    with pytest.raises(ValueError, match=name):
        transforms.input_transform(name, image_shape, teacher_shape)


def test_the_share_of_pixels_that_is_seen():
    def seen(name, image_shape, teacher_shape=(8, 8, 1)):
        transform = transforms.input_transform(name, image_shape, teacher_shape)
        return seen_pixels.seen_share(transform)

    assert seen("center_crop", (16, 16, 1)) == 0.25
    # Half-pixel centres fall on every third row and column.
    assert seen("resize", (24, 24, 3)) == pytest.approx(1 / 9)
    assert seen("resize", (32, 32, 1)) == 0.25
    for name in ("smooth_resize", "average_pool"):
        assert seen(name, (32, 32, 1)) == 1.0
    assert seen("random_pad", (4, 4, 1)) == seen("resize", (4, 4, 1)) == 1.0
