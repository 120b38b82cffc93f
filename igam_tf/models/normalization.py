"""Input normalisations, built of keras ops so that saved models need no custom code.

Every model of the package takes images in [0, 1] and owns its normalisation. The TF1
originals take grey levels (0 to 255); the factor stands here and nowhere else.
"""

import keras
from keras import ops

from igam_tf import directions

GREY_LEVELS = 255.0
_AXES = (1, 2, 3)


def standardize(images):
    """MadryLab's per-image standardisation (TF1's `per_image_standardization`).

    Args:
        images: tensor or KerasTensor (batch, height, width, channels) in [0, 1].

    Returns:
        The same shape: grey levels minus the image's mean, over its standard deviation.
        TF1 divides by 1 / sqrt(number of values) at least; here an image whose
        contrast is below one grey level becomes zero (`igam_tf.directions`), so that
        no derivative is above 255 * 2.04.
    """
    centred = _centred(images * GREY_LEVELS)
    root = _num_values(images) ** 0.5
    return directions.direction(centred, _AXES, smallest=root) * root


def zero_mean_unit_norm(images, *, smallest=directions.SMALLEST_PER_GREY_LEVEL):
    """The authors' student and discriminator input: centred, then `unit_norm`.

    Args:
        images: tensor (batch, height, width, channels): images or input gradients.
        smallest: see `unit_norm`.

    Returns:
        The same shape: each image's direction only.
    """
    return unit_norm(_centred(images), smallest=smallest)


def unit_norm(images, *, smallest=directions.SMALLEST_PER_GREY_LEVEL):
    """Divides each image by its L2 norm (TF1's `l2_normalize`, epsilon 1e-12).

    Args:
        images: tensor (batch, height, width, channels).
        smallest: norm below which an image becomes zero, in place of the epsilon; see
            `igam_tf.directions`. The default suits gradients per grey level.

    Returns:
        The same shape.
    """
    if keras.backend.standardize_dtype(images.dtype) == "float16":
        # The squares of small gradients are below its smallest number.
        return ops.cast(unit_norm(ops.cast(images, "float32"), smallest=smallest), "float16")
    return directions.direction(images, _AXES, smallest=smallest)


def grey_zero_mean_unit_norm(images):
    """`zero_mean_unit_norm` of grey levels, as the students see images in [0, 1].

    An image whose contrast is below one grey level becomes zero: its derivative stays
    below 255 * 2.04 / sqrt(number of values).
    """
    root = _num_values(images) ** 0.5
    return zero_mean_unit_norm(images * GREY_LEVELS, smallest=root)


def grey_unit_norm(images):
    """`unit_norm` of grey levels: the quirk of the authors' Tiny-ImageNet teacher.

    A black image (a root mean square below one grey level) becomes zero.
    """
    return unit_norm(images * GREY_LEVELS, smallest=_num_values(images) ** 0.5)


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
