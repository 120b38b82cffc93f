"""Copies of networks that compute in float32, whatever they were trained in."""

import keras

from igam_tf.models.copying import check_same, copy_network
from igam_tf.models.freezing import leaves


def compute_dtype(network: keras.Model) -> str:
    """What a network computes in: "float16", "bfloat16" or "float32".

    A loaded network, and the layer of its input, say what is the policy now; the layers
    that compute know.

    Args:
        network: keras.Model.

    Returns:
        The type of the narrowest of its layers.
    """
    found = {
        layer.compute_dtype
        for layer in leaves(network)
        if not isinstance(layer, keras.layers.InputLayer)
    }
    halves = found & {"float16", "bfloat16"}
    if halves:
        return min(halves, key=("float16", "bfloat16").index)
    if network.compute_dtype in ("float16", "bfloat16") and found:
        return "float32"
    return network.compute_dtype


def in_float32(network: keras.Model) -> keras.Model:
    """The network, or a copy of it that computes in float32.

    A classifier trained in half precision is evaluated and used in float32: gradients
    of zero in float16 pass for robustness (under PGD-20 the quickstart's plain student
    had a robust accuracy of 61 % in float16, and of 26 % in float32, before attacks
    scaled the gradients of confident images; those within a network may still vanish).

    Args:
        network: functional or sequential keras.Model with float32 weights.

    Returns:
        keras.Model with the same weights; the network itself if it is in float32.

    Raises:
        ValueError: if the copy would compute something else, see `copy_network`.
    """
    if compute_dtype(network) not in ("float16", "bfloat16"):
        return network
    copy = copy_network(network, replace=_in_float32)
    check_same(network, copy, between_precisions=True)
    return copy


def _in_float32(operation):
    # Bare operations have no precision of their own.
    if not isinstance(operation, keras.Layer):
        return None
    return type(operation).from_config({**operation.get_config(), "dtype": "float32"})
