"""Batch statistics that can be differentiated twice.

`tf.nn.moments`, and with it every normalisation layer of Keras, computes the variance
as mean((x - stop_gradient(mean))**2). Its first derivative is right: the one through
the mean vanishes. Its second is not: that of the mean inside of 2 (x - mean) / N is
lost. Whatever trains on input gradients needs it (3 to 40 % of the gradients of
`golden/igam_step_narrow`). TensorFlow 2.22 (release candidate 0) has it right; until
2.21 is no longer supported, ours stands in both.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf

from igam_tf import compat
from igam_tf.derivatives.replacement import Replacement


@contextlib.contextmanager
def twice_differentiable(
    model: keras.Model | None = None, *, training: bool = True
) -> Iterator[None]:
    """Within it, `tf.nn.moments` has the right second derivative.

    Values and first derivatives are those of TensorFlow, so that another thread
    that meets the replacement loses nothing.

    Args:
        model: keras.Model that is called within it, or None. If it has normalisation
            layers and none of them called the replacement, `check` is made.
        training: how it is called.

    Raises:
        ValueError: see `check`.
    """
    with moments.replacement.in_force() as calls:
        yield
    if not calls.count and _takes_moments(model, training):
        check()


def check() -> None:
    """Makes sure that Keras' normalisation layers use the `moments` of this module.

    Each of them is made and called once, in 20 ms together.

    Raises:
        ValueError: if one does not: this Keras or TensorFlow computes it otherwise.
    """
    moments.replacement.check(
        {layer: functools.partial(_call, layer) for layer in _SETTINGS},
        "without it, training on input gradients follows a wrong derivative of them, "
        "by up to 44 %",
    )


#: Layers of Keras that take moments, and how each is made for `check`. The others
#: (RMSNormalization, UnitNormalization, SpectralNormalization) subtract no mean.
_SETTINGS = {
    "BatchNormalization": {},
    "LayerNormalization": {},
    "GroupNormalization": {"groups": 1},
}


def _call(layer, shape=(2, 1, 1, 2)):
    # With a name of its own, it takes no number away from the layers of the user.
    settings = {"name": "moments_check", "dtype": "float32", **_SETTINGS[layer]}
    getattr(keras.layers, layer)(**settings)(tf.zeros(shape), training=True)


def _takes_moments(model, training):
    """Whether a call of the model takes the moments of a batch or of an image."""
    if not isinstance(model, keras.Model):
        return False
    for layer in compat.flatten_layers(model):
        if isinstance(layer, keras.layers.BatchNormalization):
            # Those of several replicas are sums over them, which differentiate well.
            if training and layer.trainable and not layer.synchronized:
                return True
        elif isinstance(layer, keras.layers.LayerNormalization):
            if not layer.rms_scaling:
                return True
        elif isinstance(layer, keras.layers.GroupNormalization):
            return True
    return False


@Replacement.of(tf.nn, "moments", "tf.nn.moments")
def moments(
    x: tf.Tensor,
    axes: Sequence[int],
    shift: object = None,
    keepdims: bool = False,
    name: str | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """`tf.nn.moments`, without the `stop_gradient`.

    Args:
        x: float tensor.
        axes: list of int, the axes to average over.
        shift: ignored, as TensorFlow does.
        keepdims: whether the averaged axes stay, with size 1.
        name: of the operations.

    Returns:
        Tuple (mean, variance), of the type of `x`.
    """
    del shift
    with tf.name_scope(name or "moments"):
        # Statistics of half precision are taken in float32, as TensorFlow does.
        half = x.dtype in (tf.float16, tf.bfloat16)
        y = tf.cast(x, tf.float32) if half else x
        # Sums, and not means: the derivative of a mean divides tensors of full size.
        total = tf.reduce_sum(y, axes, keepdims=True)
        share = tf.cast(tf.size(total), y.dtype) / tf.cast(tf.size(y), y.dtype)
        mean = share * total
        variance = share * tf.reduce_sum(
            tf.math.squared_difference(y, mean), axes, keepdims=keepdims
        )
        mean = mean if keepdims else tf.squeeze(mean, axes)
        return tf.cast(mean, x.dtype), tf.cast(variance, x.dtype)
