"""Activations by name, with the slope of the MadryLab networks."""

import keras

ACTIVATIONS = ("relu", "leaky_relu", "gelu", "silu", "softplus")


def function_name(function: object) -> str:
    """Name of what an `activation` is: a function, or a layer that stands for one.

    Args:
        function: such as `keras.activations.relu`, `keras.layers.Softmax()`, or
            `keras.layers.Activation("relu")`, which is a "relu".

    Returns:
        Name of the function, or of the layer's class.
    """
    while isinstance(function, keras.layers.Activation):
        function = function.activation
    return getattr(function, "__name__", type(function).__name__)


def is_linear(layer: object) -> bool:
    """Whether it is an `Activation` that changes nothing but the precision.

    Keras advises to end so in half precision: `Activation("linear", dtype="float32")`.
    """
    return (
        isinstance(layer, keras.layers.Activation)
        and layer.activation is keras.activations.linear
    )


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
