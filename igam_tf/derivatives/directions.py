"""Directions of images and gradients, whose derivative stays bounded where they vanish.

g / ||g|| has a derivative of 1 / ||g||: one image of one colour, or a network whose
gradient is exactly zero, and the next step is 1e10 times too long. Here

    n(g) = g / ||g|| * z / (1 + z),        z = (||g|| / smallest)^8

is the direction of g but for a share (smallest / ||g||)^8 of it, one millionth at six
times `smallest`. What is far shorter than `smallest` is rounding noise and no
direction: n is zero there, and so is its derivative. In between, the derivative has its
maximum along g: 8 z^(7/8) / (1 + z)^2 / smallest with z = 7 / 9, which is below the
bound `STEEPEST / smallest`; across g it is at most 0.69 / smallest.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

#: Largest derivative of a direction, in units of 1 / smallest.
STEEPEST = 2.04

#: Norm below which an input gradient per grey level counts as vanishing: the authors'
#: epsilon, 1e-12 of the squared norm.
SMALLEST_PER_GREY_LEVEL = 1e-6

#: The same of a gradient per unit of a [0, 1] pixel.
SMALLEST_GRADIENT = 255.0 * SMALLEST_PER_GREY_LEVEL

# From ten times `smallest` on, where z / (1 + z) is within 1e-8 of 1, it is taken for
# 1: usual vectors are divided by their norm and nothing else, to the last digit.
_USUAL_SQUARE = 1e2
# Keeps 0 * inf away, and shows nowhere: z / (1 + z) is 0 there.
_NO_SQUARE = 1e-6


def direction(
    values: tf.Tensor | keras.KerasTensor, axes: Sequence[int], *, smallest: float
) -> tf.Tensor | keras.KerasTensor:
    """Values over their L2 norm; zero where that vanishes.

    Args:
        values: float tensor or KerasTensor.
        axes: list of int, the axes of one vector.
        smallest: norm far below which a vector is taken for zero, a number above 0.
            No derivative of the result is above `STEEPEST / smallest`.

    Returns:
        Tensor like `values`.
    """
    square = ops.sum(ops.square(values), axis=axes, keepdims=True)
    ratio = square / smallest**2
    z = ops.square(ops.square(ops.minimum(ratio, _USUAL_SQUARE)))
    share = ops.where(ratio < _USUAL_SQUARE, z / (1.0 + z), ops.ones_like(z))
    return values * (share * ops.rsqrt(ops.maximum(square, _NO_SQUARE * smallest**2)))
