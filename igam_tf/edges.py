"""The edges of an image, on which input gradients of robust networks lie."""

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_BLUR_RADIUS = 3
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)

#: Pixels that an image's sides need: the borders of the blur mirror its radius.
SMALLEST_SIDE = _BLUR_RADIUS + 1


def check_size(shape: Sequence[int | None], what: str) -> None:
    """Raises ValueError if images are too small to have edges, or to be blurred.

    Args:
        shape: (height, width, ...) of the images; None is a side that is not known.
        what: what needs the edges, for the message.
    """
    height, width = shape[:2]
    if any(side is not None and side < SMALLEST_SIDE for side in (height, width)):
        raise ValueError(
            f"{what} of images of {height}x{width} pixels: expected sides of at least "
            f"{SMALLEST_SIDE}, into which the blur of the edges fits."
        )


def edge_energy(images: tf.Tensor) -> tf.Tensor:
    """Edge energy of images: blurred Sobel magnitude over all channels, blurred again.

    Args:
        images: float tensor (batch, height, width, channels).

    Returns:
        Tensor like `images`, every channel the same.

    Raises:
        ValueError: if a side has fewer pixels than `SMALLEST_SIDE`.
    """
    check_size(images.shape[1:], "edges")
    channels = images.shape[-1]
    x = _blurred(images)
    across, down = _filtered(x, _SOBEL), _filtered(x, _SOBEL.T)
    energy = tf.sqrt(
        tf.reduce_sum(tf.square(across) + tf.square(down), axis=-1, keepdims=True)
    )
    return tf.repeat(_blurred(energy), channels, axis=-1)


def _blurred(images):
    """Gaussian blur with a standard deviation of one pixel."""
    line = [math.exp(-(i**2) / 2) for i in range(-_BLUR_RADIUS, _BLUR_RADIUS + 1)]
    line = np.array(line, np.float32) / sum(line)
    return _filtered(images, np.outer(line, line))


def _filtered(images, kernel):
    """Each channel correlated with one kernel; borders mirror the image."""
    radius = len(kernel) // 2
    border = [radius, radius]
    padded = tf.pad(images, [[0, 0], border, border, [0, 0]], "REFLECT")
    stack = np.repeat(kernel[:, :, None, None], images.shape[-1], axis=2)
    filters = tf.constant(stack, images.dtype)
    return tf.nn.depthwise_conv2d(padded, filters, [1, 1, 1, 1], "VALID")
