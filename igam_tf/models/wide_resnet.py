"""The Wide-ResNet of MadryLab's CIFAR-10 challenge, teacher and student of IGAM."""

import math
from collections.abc import Mapping

import keras
import numpy as np
from keras import ops

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last
from igam_tf.models.kernels import call_with_kernel
from igam_tf.models.normalization import NORMALIZATIONS, check_normalization

_STEM_FILTERS = 16
_STAGE_STRIDES = (1, 2, 2)


@channels_last()
def wide_resnet(
    *,
    depth: int = 32,
    width: int = 10,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    normalization: str = "zero_mean_unit_norm",
    activation: str = "leaky_relu",
    kernels: Mapping[str, np.ndarray] | None = None,
    name: str = "wide_resnet",
) -> keras.Model:
    """Pre-activation Wide-ResNet whose shortcuts pool and pad, without convolutions.

    `depth=32, width=10` is the "w32-10 wide" network of MadryLab's `cifar10_challenge`
    and of the paper: 16, 160, 320, 640 filters, 5 residual units per stage.

    Args:
        depth: 6 n + 2 for n residual units in each of the three stages.
        width: k for 16 k, 32 k and 64 k filters.
        num_classes: number of logits.
        image_shape: (height, width, channels); height and width divisible by 4.
        normalization: "zero_mean_unit_norm" (IGAM's students), "standardize"
            (MadryLab's teachers), "unit_norm" or "none".
        activation: one of `igam_tf.models.ACTIVATIONS`.
        kernels: dict of layer name -> array to start from (a checkpoint's, say); None,
            and for the layers that it lacks: drawn at random.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes), made of keras layers and ops only.

    Raises:
        ValueError: if a size or a name is not legal.
    """
    units = _units_per_stage(depth, width, image_shape, normalization)
    images = keras.Input(image_shape, name="images")
    x = NORMALIZATIONS[normalization](images)
    x = _conv(x, _STEM_FILTERS, 1, "init_conv", kernels)
    for stage, stride in enumerate(_STAGE_STRIDES, start=1):
        filters = _STEM_FILTERS * width * 2 ** (stage - 1)
        for unit in range(units):
            x = _residual_unit(
                x,
                filters,
                stride=stride if unit == 0 else 1,
                shared_activation=(stage, unit) == (1, 0),
                activation=activation,
                kernels=kernels,
                name=f"unit_{stage}_{unit}",
            )
    x = _norm_and_activation(x, activation, "unit_last")
    x = keras.layers.GlobalAveragePooling2D(name="unit_last_pool")(x)
    return keras.Model(images, _logits(x, num_classes, kernels), name=name)


def _residual_unit(x, filters, *, stride, shared_activation, activation, kernels, name):
    """Two 3x3 convolutions around a shortcut that pools and pads channels."""
    shortcut = x
    x = _norm_and_activation(x, activation, f"{name}_1")
    if shared_activation:
        shortcut = x
    x = _conv(x, filters, stride, f"{name}_conv1", kernels)
    x = _norm_and_activation(x, activation, f"{name}_2")
    x = _conv(x, filters, 1, f"{name}_conv2", kernels)
    missing = filters - shortcut.shape[-1]
    if missing:
        if stride > 1:
            shortcut = keras.layers.AveragePooling2D(stride, name=f"{name}_pool")(
                shortcut
            )
        half = missing // 2
        shortcut = ops.pad(shortcut, ((0, 0), (0, 0), (0, 0), (half, half)))
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _conv(x, filters, stride, name, kernels):
    layer = keras.layers.Conv2D(
        filters,
        3,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer=keras.initializers.RandomNormal(
            stddev=math.sqrt(2.0 / (3 * 3 * filters))
        ),
        name=name,
    )
    return call_with_kernel(layer, x, kernels)


def _norm_and_activation(x, activation, name):
    x = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-3, name=f"{name}_norm"
    )(x)
    return activation_layer(activation, f"{name}_activation")(x)


def _logits(x, num_classes, kernels):
    layer = keras.layers.Dense(
        num_classes,
        kernel_initializer=keras.initializers.VarianceScaling(
            1.0, mode="fan_in", distribution="uniform"
        ),
        dtype=keras.config.floatx(),
        name="logit",
    )
    return call_with_kernel(layer, x, kernels)


def _units_per_stage(depth, width, image_shape, normalization):
    units, remainder = divmod(depth - 2, 6)
    if remainder or units < 1:
        raise ValueError(
            f"depth={depth}: a Wide-ResNet has depth 6 n + 2 for n residual units a "
            "stage; choose 8, 14, 20, 26, 32 (the paper's), ..."
        )
    if width < 1:
        raise ValueError(
            f"width={width}: expected a positive integer k for 16 k, 32 k and 64 k "
            "filters; 10 is the paper's."
        )
    if image_shape[0] % 4 or image_shape[1] % 4:
        raise ValueError(
            f"image_shape={tuple(image_shape)}: height and width must be divisible by "
            "4, since two stages halve them; resize or pad the images."
        )
    check_normalization(normalization)
    return units
