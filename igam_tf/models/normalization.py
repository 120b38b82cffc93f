"""Input normalisations, built of keras ops so that saved models need no custom code.

Every model of the package takes images in [0, 1] and owns its normalisation. The TF1
originals take grey levels (0 to 255); the factor stands here and nowhere else.
"""

from keras import ops

GREY_LEVELS = 255.0
_AXES = (1, 2, 3)


def standardize(images):
    """MadryLab's per-image standardisation (TF1's `per_image_standardization`).

    Args:
        images: tensor or KerasTensor (batch, height, width, channels) in [0, 1].

    Returns:
        The same shape: grey levels minus the image's mean, over its standard deviation
        or 1 / sqrt(number of values), whichever is larger.
    """
    grey = images * GREY_LEVELS
    centred = grey - ops.mean(grey, axis=_AXES, keepdims=True)
    num_values = images.shape[1] * images.shape[2] * images.shape[3]
    variance = ops.mean(ops.square(centred), axis=_AXES, keepdims=True)
    # The floor under the square root keeps the gradient of a constant image finite.
    return centred * ops.rsqrt(ops.maximum(variance, 1.0 / num_values))


def zero_mean_unit_norm(images):
    """The authors' student and discriminator input: centred, then `unit_norm`.

    Args:
        images: tensor (batch, height, width, channels): images or input gradients.

    Returns:
        The same shape: each image's direction only.
    """
    return unit_norm(images - ops.mean(images, axis=_AXES, keepdims=True))


def unit_norm(images):
    """Divides each image by its L2 norm (TF1's `l2_normalize`, epsilon 1e-12)."""
    squared_norm = ops.sum(ops.square(images), axis=_AXES, keepdims=True)
    return images * ops.rsqrt(ops.maximum(squared_norm, 1e-12))


def grey_zero_mean_unit_norm(images):
    """`zero_mean_unit_norm` of grey levels, as the students see images in [0, 1]."""
    return zero_mean_unit_norm(images * GREY_LEVELS)


def grey_unit_norm(images):
    """`unit_norm` of grey levels: the quirk of the authors' Tiny-ImageNet teacher."""
    return unit_norm(images * GREY_LEVELS)


NORMALIZATIONS = {
    "standardize": standardize,
    "zero_mean_unit_norm": grey_zero_mean_unit_norm,
    "unit_norm": grey_unit_norm,
    "none": lambda images: images,
}
