"""Input normalisations, built of keras ops so that saved models need no custom code.

Every model of the package takes images in [0, 1] and owns its normalisation. The TF1
originals take grey levels (0 to 255); the factor is defined here and nowhere else.
"""

import keras
import tensorflow as tf
from keras import ops

from igam_tf.derivatives import directions

GREY_LEVELS = 255.0
_AXES = (1, 2, 3)


def standardize(images: tf.Tensor | keras.KerasTensor) -> tf.Tensor | keras.KerasTensor:
    """MadryLab's per-image standardisation (TF1's `per_image_standardization`).

    Args:
        images: tensor or KerasTensor (batch, height, width, channels) in [0, 1].

    Returns:
        The same shape: grey levels minus the image's mean, over its standard deviation.
        TF1 divides by 1 / sqrt(number of values) at least; here an image whose
        contrast is below one grey level becomes zero
        (`igam_tf.derivatives.directions`), so that no derivative is above 255 * 2.04.
    """
    centred = _centred(images * GREY_LEVELS)
    root = _num_values(images) ** 0.5
    return directions.direction(centred, _AXES, smallest=root) * root


def zero_mean_unit_norm(
    gradients: tf.Tensor | keras.KerasTensor,
) -> tf.Tensor | keras.KerasTensor:
    """What the authors' discriminator sees of gradients: centred, then `unit_norm`.

    Args:
        gradients: tensor (batch, height, width, channels), per grey level.

    Returns:
        The same shape: each gradient's direction only.
    """
    return unit_norm(_centred(gradients))


def unit_norm(
    gradients: tf.Tensor | keras.KerasTensor,
) -> tf.Tensor | keras.KerasTensor:
    """Divides each gradient by its L2 norm: TF1's `l2_normalize`, epsilon 1e-12.

    The epsilon makes it a division by 1e-6 at least, which bounds the derivative by
    1e6.

    Args:
        gradients: tensor (batch, height, width, channels), per grey level.

    Returns:
        The same shape.
    """
    if keras.backend.standardize_dtype(gradients.dtype) == "float16":
        # The squares of small gradients are below its smallest number.
        return ops.cast(unit_norm(ops.cast(gradients, "float32")), "float16")
    square = ops.sum(ops.square(gradients), axis=_AXES, keepdims=True)
    smallest = directions.SMALLEST_PER_GREY_LEVEL**2
    return gradients * ops.rsqrt(ops.maximum(square, smallest))


def grey_zero_mean_unit_norm(
    images: tf.Tensor | keras.KerasTensor,
) -> tf.Tensor | keras.KerasTensor:
    """Centred grey levels over their L2 norm, as the students see images in [0, 1].

    An image whose contrast is below one grey level becomes zero: its derivative stays
    below 255 * 2.04 / sqrt(number of values).
    """
    return _image_direction(_centred(images * GREY_LEVELS))


def grey_unit_norm(
    images: tf.Tensor | keras.KerasTensor,
) -> tf.Tensor | keras.KerasTensor:
    """Grey levels over their L2 norm: the quirk of the authors' Tiny-ImageNet teacher.

    A black image (a root mean square below one grey level) becomes zero.
    """
    return _image_direction(images * GREY_LEVELS)


def _image_direction(grey_levels):
    if keras.backend.standardize_dtype(grey_levels.dtype) == "float16":
        return ops.cast(_image_direction(ops.cast(grey_levels, "float32")), "float16")
    root = _num_values(grey_levels) ** 0.5
    return directions.direction(grey_levels, _AXES, smallest=root)


def _centred(images):
    return images - ops.mean(images, axis=_AXES, keepdims=True)


def _num_values(images):
    return images.shape[1] * images.shape[2] * images.shape[3]


NORMALIZATIONS = {
    "standardize": standardize,
    "zero_mean_unit_norm": grey_zero_mean_unit_norm,
    "unit_norm": grey_unit_norm,
    "none": lambda images: images,
}


def check_normalization(normalization: str) -> None:
    """Raises ValueError unless there is a normalisation of that name."""
    if normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization={normalization!r}: expected one of {tuple(NORMALIZATIONS)}."
        )
