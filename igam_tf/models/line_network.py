"""The network of PAG's toy: two layers, with a ReLU between."""

import keras

from igam_tf.models.activations import activation as activation_layer


def line_network(
    *,
    num_classes: int = 2,
    image_shape: tuple[int, int, int] = (1, 2, 1),
    hidden_units: int = 32,
    activation: str = "relu",
    name: str = "line_network",
) -> keras.Model:
    """One hidden layer, over pixels stretched to [-10, 10].

    Weights and biases start uniform within 1 / sqrt(fan-in), as in PyTorch: how such a
    network behaves far from its training points depends on its start.

    Args:
        num_classes: number of logits.
        image_shape: (height, width, channels).
        hidden_units: units of the hidden layer.
        activation: one of `igam_tf.models.ACTIVATIONS`.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes).

    Source: Ganz, Kawar, Elad, ICML 2023, section on the toy data (32 hidden units).
    """
    images = keras.Input(image_shape, name="images")
    x = keras.layers.Flatten(name="flatten")(images)
    fan_in = x.shape[-1]
    x = keras.layers.Rescaling(20.0, offset=-10.0, name="stretch")(x)
    x = keras.layers.Dense(hidden_units, name="hidden", **_uniform(fan_in))(x)
    x = activation_layer(activation, "activation")(x)
    logits = keras.layers.Dense(
        num_classes,
        dtype=keras.config.floatx(),
        name="logit",
        **_uniform(hidden_units),
    )(x)
    return keras.Model(images, logits, name=name)


def _uniform(fan_in):
    """Initializers of a dense layer of so many inputs."""
    end = fan_in**-0.5
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-end, end),
        "bias_initializer": keras.initializers.RandomUniform(-end, end),
    }
