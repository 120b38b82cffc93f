"""What attacks ask of a classifier: logits, and nothing changed by looking at it."""

import weakref
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from igam_tf import models
from igam_tf.backend import require_tensorflow
from igam_tf.models.inputs import check_takes_floats

require_tensorflow()

_NUM_CLASSES: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def logits_of(model: keras.Model, images: tf.Tensor, training: bool) -> tf.Tensor:
    """Logits of a batch; the model's state is left alone in training mode too.

    In training mode batch normalisation uses the batch's own statistics. The moving
    statistics it would update are discarded: looking at a model must not change it.

    Args:
        model: Keras model from images to logits (batch, classes).
        images: float tensor (batch, ...).
        training: bool, the mode of the model.

    Returns:
        float32 tensor (batch, classes).

    Raises:
        ValueError: if the model returns a dict or several outputs.
    """
    if training:
        with keras.StatelessScope():
            logits = model(images, training=True)
    else:
        logits = model(images, training=False)
    _check_one_output(model, logits)
    return tf.cast(logits, tf.float32)


def is_wrong(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Whether each image is misclassified: bool tensor (batch,)."""
    return tf.argmax(logits, axis=1, output_type=tf.int32) != labels


def input_gradient(
    objective: Callable[[tf.Tensor], tf.Tensor],
    model: keras.Model,
    images: tf.Tensor,
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The gradient of an objective of the logits, as attacks follow it.

    It is not meant to be differentiated again, as `igam_tf.gradients` is; and where a
    model has no gradient it is zero and no error, because an attack then fails as it
    should, and evaluation says why. Where one is too small for float16, it is not zero.

    Args:
        objective: function of the logits (batch, classes) to one number an image.
        model: Keras model from images to logits.
        images: float32 tensor (batch, ...).
        training: bool, the mode of the model.

    Returns:
        Tuple of the logits, the objective (batch,), and its gradient like `images`.
    """
    with tf.GradientTape(watch_accessed_variables=False, persistent=True) as tape:
        tape.watch(images)
        logits = logits_of(model, images, training)
        values = objective(logits)
        # A sum over images keeps each image's gradient its own.
        total = tf.reduce_sum(values)
    zero = tf.UnconnectedGradients.ZERO
    if not _is_float16(model):
        gradient = tape.gradient(total, images, unconnected_gradients=zero)
        return logits, values, gradient
    # The slopes of a confident image are below the smallest number of float16: they go
    # through the model with a largest one of 1, and the gradient is scaled back.
    slope = tape.gradient(total, logits, unconnected_gradients=zero)
    largest = tf.reduce_max(tf.abs(slope), axis=1)
    slope = tf.math.divide_no_nan(slope, largest[:, None])
    shape = [-1] + [1] * (images.shape.rank - 1)
    gradient = tape.gradient(
        logits, images, output_gradients=slope, unconnected_gradients=zero
    )
    return logits, values, gradient * tf.reshape(largest, shape)


def _is_float16(model):
    if isinstance(model, keras.Model):
        return models.compute_dtype(model) == "float16"
    return model.compute_dtype == "float16"


def takes_any_batch(model: keras.Model) -> bool:
    """Whether a model is not built for batches of one size only."""
    shape = getattr(model, "input_shape", None)
    return not shape or not isinstance(shape, tuple) or shape[0] is None


def check_model(model: object) -> None:
    """Raises ValueError unless it is a Keras model that takes floats; calls nothing."""
    if not isinstance(model, keras.Layer):
        raise ValueError(
            f"model is {type(model).__name__}: expected a keras.Model from images to "
            "logits; a function can be wrapped in a keras.layers.Lambda."
        )
    check_takes_floats(model)


def num_classes(model: keras.Model, images: np.ndarray) -> int:
    """Number of classes of a classifier, checked by one call on the first few images.

    The call is not compiled, so that a model refused here can be repaired in place.

    Args:
        model: Keras model.
        images: float32 array (batch, ...).

    Returns:
        Integer, at least 2.

    Raises:
        ValueError: if the model is not a Keras model, takes whole numbers, does not
            return (batch, classes), or returns probabilities instead of logits.
    """
    check_model(model)
    known = _NUM_CLASSES.setdefault(model, {})
    shape = images.shape[1:]
    if shape not in known:
        logits = model(tf.constant(images[:16]), training=False)
        classes = _classes_of_output(model, logits)
        # Rows in half precision sum to 1 up to its last digit times the classes.
        is_half = logits.dtype in (tf.float16, tf.bfloat16)
        atol = 2e-2 if is_half else 1e-3
        check_not_probabilities(model, np.asarray(logits, np.float32), atol)
        known[shape] = classes
    return known[shape]


def _check_one_output(model, outputs):
    if not hasattr(outputs, "shape"):
        raise ValueError(
            f"model {model.name!r} returns a {type(outputs).__name__} of outputs: "
            "expected logits (batch, classes); igam_tf.models.one_output(model, name) "
            "is the model of one of them, by its key or the name of its layer."
        )


def _classes_of_output(model, logits):
    _check_one_output(model, logits)
    shape = logits.shape
    if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
        raise ValueError(
            f"model {model.name!r} returns one number an image, {tuple(shape)}: "
            "expected logits (batch, classes) with at least 2 classes; "
            "igam_tf.models.two_logits(model) makes two logits of one logit or sigmoid."
        )
    if len(shape) != 2:
        raise ValueError(
            f"model {model.name!r} returns {tuple(shape)} for some "
            "images: expected logits (batch, classes) with at least 2 classes; pass "
            "the classifier itself, ending in a dense layer without activation."
        )
    return int(shape[1])


def check_not_probabilities(
    model: keras.Model, logits: np.ndarray, atol: float = 1e-3
) -> None:
    """Raises ValueError if a model's outputs are those of a softmax.

    Args:
        model: Keras model.
        logits: its outputs, a float32 array (batch, classes).
        atol: by how much the sum of a row may differ from 1.
    """
    if (logits >= 0).all() and np.allclose(logits.sum(axis=1), 1, atol=atol):
        raise ValueError(
            f"model {model.name!r} returns probabilities (rows of numbers above zero "
            "that sum to 1): expected logits, because a softmax hides gradients from "
            "attacks and makes a model look robust. Take it off: "
            "igam_tf.models.without_softmax(model)."
        )
