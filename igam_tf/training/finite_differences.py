"""The size of an input gradient from losses alone, without a second derivative.

    ||g||_2 = <g, d>,            d = g / ||g||_2
    ||g||_1 = sqrt(n) <g, d>,    d = sign(g) / sqrt(n),    n values that are not 0
    <g, d> = (CE(x + h d) - CE(x)) / h + O(h)

The direction d is held fixed, and the derivative of what is left, a difference of two
losses, is that of the norm up to O(h): one more forward and backward pass takes the
place of the backward pass through the backward pass. Finlay & Oberman 2019 (arXiv
1905.11468), who square it.
"""

import keras
import tensorflow as tf

from igam_tf import gradients, losses
from igam_tf.attacks.geometry import STEPS, lengths

# Of the ball whose dual norm is measured.
_NORMS = {"l1": "linf", "squared_l2": "l2"}


def gradient_size(
    model: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor,
    *,
    norm: str,
    step: float,
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """A norm of the input gradient of the cross entropy, and the logits of the images.

    Args:
        model: keras.Model from images to logits, which computes in float32 at least.
        images: float tensor (batch, height, width, channels) in [0, 1]. Those a step
            away may leave it.
        labels: as of `igam_tf.losses.cross_entropy`.
        norm: "l1" or "squared_l2".
        step: h, the L2 length of the step, in [0, 1] pixels.
        training: mode of the model.

    Returns:
        Tuple (size (batch,), logits (batch, classes)). The size is never negative, and
        0 where the gradient vanishes.
    """
    gradient, logits = gradients.input_gradient_and_logits(
        model, images, labels, of="loss", training=training
    )
    direction = STEPS[_NORMS[norm]](tf.stop_gradient(gradient))
    # 1 or 0 for a gradient over its length; that of its signs otherwise.
    length = lengths(direction, "l2")
    moved = images + step * tf.math.divide_no_nan(direction, length)
    there = tf.cast(model(moved, training=training), logits.dtype)
    here = losses.cross_entropy(logits, labels)
    rise = tf.abs(losses.cross_entropy(there, labels) - here) / step
    if norm == "l1":
        return tf.reshape(length, [-1]) * rise, logits
    return tf.square(rise), logits
