"""The moving variance of TensorFlow 1's fused batch norm."""

import keras
from keras import ops

from igam_tf import compat
from igam_tf.models.freezing import leaves

MODES = ("biased", "unbiased")


def unbias_moving_variance(network: keras.Model) -> keras.Model:
    """Lets batch norm average unbiased variances, as the TF1 originals do, in place.

    Keras averages the biased batch variance, TensorFlow 1's fused kernel
    N / (N - 1) of it, for N values a channel; both normalise with the biased one. The
    layers stay plain Keras layers: saved, they need no custom code.

    Args:
        network: keras.Model.

    Returns:
        The network.
    """
    for layer in leaves(network):
        if isinstance(layer, keras.layers.BatchNormalization):
            compat.wrap_call(layer, _call)
    return network


def _call(layer, plain_call, inputs, training=None, mask=None):
    kept = layer.momentum * ops.convert_to_tensor(layer.moving_variance)
    outputs = plain_call(inputs, training=training, mask=mask)
    if training and layer.trainable:
        count = ops.cast(ops.size(inputs) // inputs.shape[layer.axis], kept.dtype)
        added = ops.convert_to_tensor(layer.moving_variance) - kept
        layer.moving_variance.assign(kept + added * count / ops.maximum(count - 1, 1))
    return outputs
