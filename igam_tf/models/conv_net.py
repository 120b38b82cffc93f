"""Five convolutions with batch norm: for real images on a machine without GPU."""

import keras

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last
from igam_tf.models.normalization import NORMALIZATIONS, check_normalization

#: Filters of each convolution at width 1, and its stride.
LAYERS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1))


@channels_last()
def conv_net(
    *,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    width: int = 1,
    activation: str = "leaky_relu",
    normalization: str = "zero_mean_unit_norm",
    name: str = "conv_net",
) -> keras.Model:
    """3x3 convolutions of 16, 32, 32, 64, 64 filters times `width`, averaged last.

    Args:
        num_classes: number of logits.
        image_shape: (height, width, channels).
        width: factor of the filters, an integer.
        activation: one of `igam_tf.models.ACTIVATIONS`.
        normalization: of the images, one of `igam_tf.models.NORMALIZATIONS`.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes).

    Raises:
        ValueError: if the width is not positive or a choice is unknown.
    """
    if width < 1:
        raise ValueError(f"width={width}: expected a positive integer.")
    check_normalization(normalization)
    images = keras.Input(image_shape, name="images")
    x = NORMALIZATIONS[normalization](images)
    for i, (filters, stride) in enumerate(LAYERS, start=1):
        x = keras.layers.Conv2D(
            filters * width,
            3,
            strides=stride,
            padding="same",
            use_bias=False,
            kernel_initializer="he_normal",
            name=f"conv{i}",
        )(x)
        x = keras.layers.BatchNormalization(
            momentum=0.9, epsilon=1e-3, name=f"conv{i}_norm"
        )(x)
        x = activation_layer(activation, f"conv{i}_activation")(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    logits = keras.layers.Dense(num_classes, dtype=keras.config.floatx(), name="logit")(
        x
    )
    return keras.Model(images, logits, name=name)
