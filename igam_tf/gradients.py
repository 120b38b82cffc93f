"""Input gradients: what the classifier thinks is important in an image.

One implementation serves the teacher, the student, every method and the figures. It
may be called under an outer `tf.GradientTape`, which then differentiates through the
input gradient (the nested tape of IGAM).
"""

from collections.abc import Callable

import keras
import tensorflow as tf

from igam_tf import losses, models
from igam_tf.derivatives import layers

OBJECTIVES = ("probability", "loss")

#: A function of logits (batch, classes) and labels (batch,) to numbers (batch,).
Objective = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

# Gradients of confident images vanish in float16, whose smallest number is 6e-8.
_SCALES = {"float16": 2.0**10}


def input_gradient(
    model: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor,
    *,
    of: str | Objective = "probability",
    training: bool = False,
) -> tf.Tensor:
    """Gradient of an objective of the true class w.r.t. the images.

    Args:
        model: keras.Model from images to logits (batch, classes).
        images: float tensor (batch, height, width, channels) in [0, 1].
        labels: integer tensor (batch,), or soft, see `igam_tf.losses.cross_entropy`.
        of: "probability", the softmax probability of the true class (the authors'
            code), "loss", the cross entropy (Eq. 8 and 9
            of the paper), or a function of (logits, labels) to numbers (batch,).
        training: mode of the model's batch normalisation.

    Returns:
        Tensor like `images`: the gradient of each image's own objective, per unit of
        a [0, 1] pixel.

    Raises:
        ValueError: if `of` is unknown, the images are whole numbers, or this Keras
            computes normalisation in another way (`igam_tf.derivatives.moments`).
    """
    gradient, _ = input_gradient_and_logits(
        model, images, labels, of=of, training=training
    )
    return gradient


def input_gradient_and_logits(
    model: keras.Model,
    images: tf.Tensor,
    labels: tf.Tensor,
    *,
    of: str | Objective = "probability",
    training: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Like `input_gradient`, and the logits of the same forward pass.

    Returns:
        Tuple (input_gradient, logits): tensors like `images` and (batch, classes).
    """
    if not callable(of) and of not in OBJECTIVES:
        raise ValueError(
            f"input gradient of {of!r}: expected one of {OBJECTIVES}; "
            "pass of='probability' (the authors' code) or of='loss' (the paper)."
        )
    images = tf.convert_to_tensor(images)
    if not images.dtype.is_floating:
        raise ValueError(
            f"images are {images.dtype.name}: expected float32 in [0, 1]; pass "
            "images / 255 of grey levels, as float32."
        )
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        with layers.twice_differentiable(model, training=training):
            logits = model(images, training=training)
        logits = tf.cast(logits, keras.config.floatx())
        # A sum over images keeps each image's gradient its own.
        objective = tf.reduce_sum(_objective(logits, labels, of))
        scale = _SCALES.get(models.compute_dtype(model), 1.0)
        objective *= scale
    gradient = tape.gradient(objective, images)
    if gradient is None:
        raise ValueError(
            f"No gradient of the logits of {getattr(model, 'name', model)!r} comes "
            "through to the images: expected layers that can be differentiated (no "
            "argmax, no cast to whole numbers, no stop_gradient) all the way."
        )
    return gradient / scale, logits


def per_image_cosine(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Cosine of the angle between two batches of gradients, image by image.

    To be reported: nothing bounds its derivative near a vanishing gradient, at which
    it is zero; a loss takes `igam_tf.derivatives.directions.direction`.

    Args:
        a, b: tensors (batch, ...) of equal shape.

    Returns:
        Tensor (batch,); 0 where either gradient vanishes.
    """
    a, b = _flatten(a), _flatten(b)
    return tf.math.divide_no_nan(tf.reduce_sum(a * b, axis=1), _norms(a) * _norms(b))


def _objective(logits, labels, of):
    if callable(of):
        return of(logits, labels)
    if of == "loss":
        return losses.cross_entropy(logits, labels)
    return losses.true_probability(logits, labels)


def _norms(rows):
    squares = tf.reduce_sum(tf.square(rows), axis=1)
    # The derivative of a square root is infinite at 0, and 0 times it is NaN.
    some = squares > 0
    return tf.where(some, tf.sqrt(tf.where(some, squares, 1.0)), 0.0)


def _flatten(gradient):
    return tf.reshape(gradient, [tf.shape(gradient)[0], -1])
