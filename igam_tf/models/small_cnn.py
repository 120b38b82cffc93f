"""Two convolutions and a hidden layer: for 8x8 digits, tests and notebooks."""

from collections.abc import Sequence

import keras

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last


@channels_last()
def small_cnn(
    *,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (8, 8, 1),
    filters: Sequence[int] = (32, 64),
    hidden_units: int = 64,
    activation: str = "gelu",
    name: str = "small_cnn",
) -> keras.Model:
    """3x3 convolutions, of stride 2 after the first, and one hidden layer.

    No normalisation of any kind: the output for an image depends on it alone, and
    training on two devices equals training on one.

    Args:
        num_classes: number of logits.
        image_shape: (height, width, channels).
        filters: filters of each convolution.
        hidden_units: units of the dense layer before the logits.
        activation: one of `igam_tf.models.ACTIVATIONS`.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes).
    """
    images = keras.Input(image_shape, name="images")
    x = images
    for i, num_filters in enumerate(filters, start=1):
        x = keras.layers.Conv2D(
            num_filters,
            3,
            strides=1 if i == 1 else 2,
            padding="same",
            kernel_initializer="he_normal",
            name=f"conv{i}",
        )(x)
        x = activation_layer(activation, f"conv{i}_activation")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(hidden_units, kernel_initializer="he_normal", name="hidden")(
        x
    )
    x = activation_layer(activation, "hidden_activation")(x)
    logits = keras.layers.Dense(num_classes, dtype=keras.config.floatx(), name="logit")(
        x
    )
    return keras.Model(images, logits, name=name)
