"""Max pooling whose second derivative is right in a graph, too.

In a graph TensorFlow 2.21 writes the second derivative of a max pooling into the memory
of what it reads it from, wherever input and output have equally many numbers: windows
that overlap, moved by one pixel over a border of zeros (`padding="same"`, `strides=1`).
Called eagerly it is right. Over a border of our own the sizes differ, and nothing else.
"""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from igam_tf.derivatives.replacement import Replacement


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it, max pooling of Keras and TensorFlow has the right second derivative.

    Values and first derivatives are those of TensorFlow, so that another thread
    that meets the replacement loses nothing; see `moments.twice_differentiable`.
    """
    with _max_pool.replacement.in_force(), _max_pool2d.replacement.in_force():
        yield


@Replacement.of(tf.nn, "max_pool", "tf.nn.max_pool")
def _max_pool(input, ksize, strides, padding, data_format=None, name=None):
    """`tf.nn.max_pool`."""
    original = _max_pool.replacement.original
    return _with_border(original, input, ksize, strides, padding, data_format, name)


@Replacement.of(tf.nn, "max_pool2d", "tf.nn.max_pool2d")
def _max_pool2d(input, ksize, strides, padding, data_format="NHWC", name=None):
    """`tf.nn.max_pool2d`."""
    original = _max_pool2d.replacement.original
    return _with_border(original, input, ksize, strides, padding, data_format, name)


def _with_border(original, images, ksize, strides, padding, data_format, name):
    """An original pooling, over a border of our own where the sizes would be equal."""
    if _keeps_sizes(images, strides, padding):
        first = 2 if (data_format or "").startswith("NC") else 1
        spatial = range(first, first + images.shape.rank - 2)
        window = _sizes(ksize, images.shape.rank, spatial)
        # As many before as TensorFlow's own: of an odd number, one more after.
        border = [((size - 1) // 2, size // 2) for size in window]
        # A window has a pixel of the image, so that a border is never the largest.
        least = tf.constant(float("-inf"), images.dtype)
        images = tf.pad(images, border, constant_values=least)
        padding = "VALID"
    return original(images, ksize, strides, padding, data_format, name)


def _keeps_sizes(images, strides, padding):
    """Whether input and output have equally many numbers, as far as that is known."""
    if not tf.is_tensor(images) or not images.dtype.is_floating:
        return False
    if images.shape.rank is None or not isinstance(padding, str):
        return False
    return padding == "SAME" and all(stride == 1 for stride in tf.nest.flatten(strides))


def _sizes(ksize, rank, spatial):
    """Size of the window along each axis, from one, one a spatial axis, or all."""
    given = tf.nest.flatten(ksize)
    if len(given) == rank:
        return given
    given = given * len(spatial) if len(given) == 1 else given
    sizes = dict(zip(spatial, given, strict=True))
    return [sizes.get(axis, 1) for axis in range(rank)]
