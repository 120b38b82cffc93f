"""Input gradients of several classes an image, and how they agree with targets."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from igam_tf.derivatives import directions, layers

# Targets come in any unit, and are not differentiated.
_SMALLEST_TARGET = 1e-12


def class_gradients(
    model: Callable[[tf.Tensor], tf.Tensor], images: tf.Tensor, classes: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Directions of the gradients of log softmax, for several classes an image.

    They are the gradients of log(p / (1 - p)): those of log p times 1 / (1 - p), so
    that they keep their direction in float32 where p is 1 but for rounding. One forward
    pass, and a backward pass for each class, vectorised.

    Args:
        model: function of images to logits.
        images: float tensor (batch, height, width, channels).
        classes: int32 tensor (batch, k).

    Returns:
        Tuple (gradients, logits): (batch, k, height, width, channels) and
        (batch, classes).
    """
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(images)
        with layers.twice_differentiable():
            logits = model(images)
        logits = tf.cast(logits, keras.config.floatx())
        # A sum over images keeps each image's gradient its own.
        objectives = tf.reduce_sum(_log_odds(logits, classes), axis=0)
    found = tape.jacobian(objectives, images)
    return tf.transpose(found, [1, 0, 2, 3, 4]), logits


def _log_odds(logits, classes):
    """log(p / (1 - p)) of some classes: their logit, less the others' logsumexp."""
    one_hot = tf.one_hot(classes, logits.shape[-1], on_value=True, off_value=False)
    nothing = tf.constant(-math.inf, logits.dtype)
    others = tf.where(one_hot, nothing, logits[:, None])
    chosen = tf.gather(logits, classes, axis=1, batch_dims=1)
    return chosen - tf.reduce_logsumexp(others, axis=-1)


def per_class_cosine(found: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Cosine of (batch, k, ...) tensors: (batch, k); 0 where either vanishes."""
    axes = list(range(2, found.shape.rank))
    ours = directions.direction(found, axes, smallest=directions.SMALLEST_GRADIENT)
    theirs = directions.direction(targets, axes, smallest=_SMALLEST_TARGET)
    return tf.reduce_sum(ours * theirs, axes)
