"""Lets classifiers of other pixels, and of channels first, take images in [0, 1]."""

from collections.abc import Sequence

import keras
import numpy as np


def with_pixels(
    model: keras.Model,
    *,
    input_range: Sequence[float] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> keras.Model:
    """A classifier of images in [0, 1] made from one that was trained on other pixels.

    What it computes stays the same; what is said of it in fractions of the pixel range,
    such as eps = 8/255, holds for it too.

    Args:
        model: keras.Model from images (batch, height, width, channels) of other pixels.
        input_range: (low, high), what black and white are to the model, such as
            (0, 255) or (-1, 1); None for (0, 1).
        mean, std: one number, or one for each channel, that are taken off the pixels
            and that the difference is divided by, in the units of `input_range`.

    Returns:
        keras.Model that shares the layers of the given one, behind a `Rescaling`; the
        given one itself if nothing is asked for.

    Raises:
        ValueError: if the numbers do not make a scale, or do not fit the channels; or
            the model takes whole numbers.
    """
    check_takes_floats(model)
    low, high = _range(input_range)
    shift, scale = _numbers("mean", mean, 0.0), _numbers("std", std, 1.0)
    if not (scale > 0).all():
        raise ValueError(f"std={std}: expected standard deviations above 0.")
    channels = model.input_shape[-1]
    for name, numbers in (("mean", shift), ("std", scale)):
        if len(numbers) not in (1, channels):
            raise ValueError(
                f"{name} has {len(numbers)} numbers, and the model takes images of "
                f"{channels} channels: expected one number, or one for each channel."
            )
    factor, offset = (high - low) / scale, (low - shift) / scale
    if (factor == 1).all() and (offset == 0).all():
        return model
    images = keras.Input(model.input_shape[1:], name="images")
    rescaling = keras.layers.Rescaling(
        _plain(factor), _plain(offset), name="to_the_pixels_of_the_model"
    )
    return keras.Model(images, model(rescaling(images)), name=model.name)


def with_channels_last(model: keras.Model) -> keras.Model:
    """A classifier of images (height, width, channels) from one of channels first.

    Args:
        model: keras.Model from images (batch, channels, height, width).

    Returns:
        keras.Model that shares its layers, behind a `Permute`.

    Raises:
        ValueError: if the model takes whole numbers.
    """
    check_takes_floats(model)
    channels, height, width = model.input_shape[1:]
    images = keras.Input((height, width, channels), name="images")
    turned = keras.layers.Permute((3, 1, 2), name="to_channels_first")(images)
    return keras.Model(images, model(turned), name=model.name)


def check_takes_floats(model: keras.Layer, role: str = "model") -> None:
    """Raises ValueError if a model takes whole numbers, as far as it says.

    Keras would cast images in [0, 1] to them without a word: what is left is black and
    white, and no gradient comes through to the pixels.

    Args:
        model: keras.Model from images.
        role: what it was given as.
    """
    inputs = getattr(model, "inputs", None) or []
    if not inputs or "float" in keras.backend.standardize_dtype(inputs[0].dtype):
        return
    raise ValueError(
        f"{role} {model.name!r} takes {inputs[0].dtype}: expected an input of floats, "
        "because images in [0, 1] would be cast to 0 and 1, and perturbations with "
        "them. Make one of the same layers: new = keras.models.clone_model(model, "
        "input_tensors=keras.Input(model.input_shape[1:])); "
        "new.set_weights(model.get_weights()); if its pixels are 0 to 255, then "
        "igam_tf.models.with_pixels(new, input_range=(0, 255)) (--input_range=0,255)."
    )


def _range(given):
    low, high = (0.0, 1.0) if given is None else map(float, given)
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"input_range={tuple(given or ())}: expected two numbers, what black and "
            "white are to the model, such as (0, 255)."
        )
    return low, high


def _numbers(name, given, default):
    numbers = np.atleast_1d(np.asarray(default if given is None else given, float))
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise ValueError(f"{name}={given}: expected one number, or one a channel.")
    return numbers


def _plain(numbers):
    """One number where all are equal, which any version of Keras loads."""
    if (numbers == numbers[0]).all():
        return float(numbers[0])
    return numbers.tolist()
