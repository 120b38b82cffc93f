"""The edges of an image, on which input gradients of robust networks lie."""

import math

import numpy as np
import tensorflow as tf

_BLUR_RADIUS = 3
_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def edge_energy(images: tf.Tensor) -> tf.Tensor:
    """Edge energy of images: blurred Sobel magnitude over all channels, blurred again.

    Args:
        images: float tensor (batch, height, width, channels).

    Returns:
        Tensor like `images`, every channel the same.
    """
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
