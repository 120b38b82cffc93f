"""Discriminators between the input gradients of a student and of a teacher."""

import math
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from igam_tf.models.data_format import channels_last
from igam_tf.models.kernels import call_with_kernel
from igam_tf.models.normalization import zero_mean_unit_norm

STUDENT_CLASS = 0
TEACHER_CLASS = 1


@channels_last()
def discriminator(
    *,
    gradient_shape: tuple[int, int, int] = (32, 32, 3),
    channels: Sequence[int] = (16, 32, 64, 128, 256),
    crop_to: tuple[int, int] | None = None,
    kernels: Mapping[str, np.ndarray] | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Convolutional discriminator of Appendix A and of the authors' code.

    4x4 convolutions of stride 2 with batch norm and leaky ReLU, then a dense layer of
    two logits: class 0 is the student, class 1 the teacher. The gradient is centred
    and L2-normalised first, so that only its direction is seen.

    Args:
        gradient_shape: (height, width, channels) of the target images.
        channels: output channels of each convolution: 16-32-64-128-256 or 8-16-32-64
            in the paper.
        crop_to: (height, width) of the central window that is seen, or None for all:
            with an input transform that crops, the teacher's gradient is zero outside
            of it and would give the teacher away (section 4.3.2).
        kernels: dict of layer name -> array to start from (a checkpoint's, say); None,
            and for the layers that it lacks: drawn at random.
        name: the model's name.

    Returns:
        keras.Model from gradients (batch, *gradient_shape) to logits (batch, 2).

    Raises:
        ValueError: if the window is larger than the gradient.
    """
    gradients, x = _seen_gradient(gradient_shape, crop_to)
    for i, filters in enumerate(channels):
        conv = keras.layers.Conv2D(
            filters,
            4,
            strides=2,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(
                stddev=math.sqrt(2.0 / (4 * 4 * filters))
            ),
            name=f"conv{i}",
        )
        x = _norm_and_activation(call_with_kernel(conv, x, kernels), i)
    x = keras.layers.Flatten(name="flatten")(x)
    return keras.Model(gradients, _logits(x, kernels), name=name)


@channels_last()
def dense_discriminator(
    *,
    gradient_shape: tuple[int, int, int] = (32, 32, 3),
    units: Sequence[int] = (16, 16, 8),
    crop_to: tuple[int, int] | None = None,
    kernels: Mapping[str, np.ndarray] | None = None,
    name: str = "discriminator",
) -> keras.Model:
    """Fully connected variant of the authors' code (`only_fully_connected`).

    Args:
        gradient_shape: (height, width, channels) of the target images.
        units: units of the hidden layers; the authors' variant has c, c and c // 2 for
            c base channels.
        crop_to, kernels: as in `discriminator`.
        name: the model's name.

    Returns:
        keras.Model from gradients (batch, *gradient_shape) to logits (batch, 2).
    """
    gradients, x = _seen_gradient(gradient_shape, crop_to)
    x = keras.layers.Flatten(name="flatten")(x)
    for i, num_units in enumerate(units):
        x = _norm_and_activation(_dense(x, num_units, f"fc{i}", kernels), i)
    return keras.Model(gradients, _logits(x, kernels), name=name)


def _seen_gradient(gradient_shape, crop_to):
    """Input of the discriminator and what it sees of it."""
    gradients = keras.Input(gradient_shape, name="input_gradient")
    if crop_to is None or tuple(crop_to) == tuple(gradient_shape[:2]):
        return gradients, zero_mean_unit_norm(gradients)
    if any(c > g for c, g in zip(crop_to, gradient_shape)):
        raise ValueError(
            f"crop_to={tuple(crop_to)} is larger than the gradient "
            f"{tuple(gradient_shape)}; pass a window that fits into it, or None."
        )
    borders = [
        ((g - c) // 2, g - c - (g - c) // 2) for c, g in zip(crop_to, gradient_shape)
    ]
    seen = keras.layers.Cropping2D(borders, name="window")(gradients)
    return gradients, zero_mean_unit_norm(seen)


def _norm_and_activation(x, index):
    x = keras.layers.BatchNormalization(
        momentum=0.9, epsilon=1e-3, name=f"norm{index}"
    )(x)
    return keras.layers.LeakyReLU(negative_slope=0.1, name=f"activation{index}")(x)


def _logits(x, kernels):
    return _dense(x, 2, "logit", kernels, dtype=keras.config.floatx())


def _dense(x, units, name, kernels, **kwargs):
    layer = keras.layers.Dense(
        units,
        kernel_initializer=keras.initializers.VarianceScaling(
            1.0, mode="fan_in", distribution="uniform"
        ),
        name=name,
        **kwargs,
    )
    return call_with_kernel(layer, x, kernels)
