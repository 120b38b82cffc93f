"""Pre-activation ResNet for images of 32 pixels, student of GradNorm and PAG."""

import keras

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last
from igam_tf.models.normalization import NORMALIZATIONS, check_normalization

#: Residual units of the four stages, by depth; two convolutions a unit.
UNITS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
_STAGE_STRIDES = (1, 2, 2, 2)


@channels_last()
def preact_resnet(
    *,
    depth: int = 18,
    width: int = 64,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    normalization: str = "none",
    activation: str = "relu",
    name: str = "preact_resnet",
) -> keras.Model:
    """Pre-activation ResNet (He et al. 2016, "Identity mappings") for small images.

    `depth=18, width=64` is the PreActResNet-18 of the CIFAR literature: a 3x3
    convolution, four stages of two units with 64, 128, 256 and 512 filters, 1x1
    convolutions on the shortcuts where the size changes, batch norm and activation
    before the pooling (that of the GradNorm configuration of
    Rodriguez-Munoz et al. 2024).

    Args:
        depth: 10, 18 or 34.
        width: filters of the first stage; each stage doubles them.
        num_classes: number of logits.
        image_shape: (height, width, channels); height and width divisible by 8.
        normalization: one of `igam_tf.models.NORMALIZATIONS`. "none" suits PAG, whose
            targets have a part along the image itself: the input gradient of a network
            that normalises each image's contrast has none there. Batch norm takes care
            of the scale.
        activation: one of `igam_tf.models.ACTIVATIONS`.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes), made of keras layers and ops only.

    Raises:
        ValueError: if a size or a name is not legal.
    """
    _check(depth, width, image_shape, normalization)
    images = keras.Input(image_shape, name="images")
    x = NORMALIZATIONS[normalization](images)
    x = _conv(x, width, 3, 1, "init_conv")
    for stage, (units, stride) in enumerate(zip(UNITS[depth], _STAGE_STRIDES), start=1):
        for unit in range(units):
            x = _residual_unit(
                x,
                width * 2 ** (stage - 1),
                stride=stride if unit == 0 else 1,
                activation=activation,
                name=f"unit_{stage}_{unit}",
            )
    x = _norm_and_activation(x, activation, "unit_last")
    x = keras.layers.GlobalAveragePooling2D(name="unit_last_pool")(x)
    logits = keras.layers.Dense(num_classes, dtype=keras.config.floatx(), name="logit")(
        x
    )
    return keras.Model(images, logits, name=name)


def _residual_unit(x, filters, *, stride, activation, name):
    """Two 3x3 convolutions; a projection, where there is one, sees the activation."""
    shortcut = x
    x = _norm_and_activation(x, activation, f"{name}_1")
    if stride > 1 or shortcut.shape[-1] != filters:
        shortcut = _conv(x, filters, 1, stride, f"{name}_shortcut")
    x = _conv(x, filters, 3, stride, f"{name}_conv1")
    x = _norm_and_activation(x, activation, f"{name}_2")
    x = _conv(x, filters, 3, 1, f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _conv(x, filters, size, stride, name):
    return keras.layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=name,
    )(x)


def _norm_and_activation(x, activation, name):
    x = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, name=f"{name}_norm"
    )(x)
    return activation_layer(activation, f"{name}_activation")(x)


def _check(depth, width, image_shape, normalization):
    if depth not in UNITS:
        raise ValueError(f"depth={depth}: expected one of {tuple(UNITS)}.")
    if width < 1:
        raise ValueError(
            f"width={width}: expected the number of filters of the first stage, 64 in "
            "the original."
        )
    if image_shape[0] % 8 or image_shape[1] % 8:
        raise ValueError(
            f"image_shape={tuple(image_shape)}: height and width must be divisible by "
            "8, since three stages halve them; resize or pad the images."
        )
    check_normalization(normalization)
