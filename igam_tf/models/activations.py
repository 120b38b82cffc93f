"""Activations by name, with the slope of the MadryLab networks."""

import keras

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu", "softplus")


def activation(name: str, layer_name: str) -> keras.Layer:
    """A keras layer that applies the activation `name`.

    Args:
        name: one of `ACTIVATIONS`; "leaky_relu" has MadryLab's slope of 0.1.
        layer_name: the layer's name.

    Returns:
        keras.layers.Layer.

    Raises:
        ValueError: if the name is unknown.
    """
    if name == "leaky_relu":
        return keras.layers.LeakyReLU(negative_slope=0.1, name=layer_name)
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r}: expected one of {ACTIVATIONS}.")
    return keras.layers.Activation(name, name=layer_name)
