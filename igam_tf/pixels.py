"""From grey levels to fractions: the one place that divides by 255.

Importable without TensorFlow, which only tensors need.
"""

from __future__ import annotations

import typing

import numpy as np

if typing.TYPE_CHECKING:
    import tensorflow as tf


def as_float(images: np.ndarray | tf.Tensor) -> np.ndarray | tf.Tensor:
    """Converts grey levels to fractions of the pixel range.

    Args:
        images: array or tensor (batch, height, width, channels), uint8 in 0..255 or
            float in [0, 1].

    Returns:
        float32 in [0, 1] in place of uint8; floating images as they are.
    """
    if images.dtype != np.uint8:
        return images
    if isinstance(images, np.ndarray):
        return images.astype(np.float32) / np.float32(255)
    import tensorflow as tf

    return tf.cast(images, tf.float32) / 255.0
