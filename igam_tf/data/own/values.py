"""Tells grey levels from fractions of the pixel range in arrays of one's own."""

import functools
from collections.abc import Callable, Mapping

import numpy as np

from igam_tf.data.task import ROUNDING, check_images

# Floats are grey levels if one is above this; between it and 1 they are neither.
_GREY_LEVELS = 16


def with_channels(images: np.ndarray) -> np.ndarray:
    """Grey images [n, height, width] with an axis for their channel."""
    return images[..., None] if images.ndim == 3 else images


def scale(
    name: str, images: Mapping[str, np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """The function that makes uint8 grey levels or float32 fractions of images.

    All arrays together tell which they are: whole numbers are grey levels; floats are
    fractions if none is above 1, and grey levels if one is above 16.

    Args:
        name: of the data, for errors.
        images: arrays by their names.

    Raises:
        ValueError: if they are neither.
    """
    low = min(float(found.min()) for found in images.values())
    high = max(float(found.max()) for found in images.values())
    kinds = {found.dtype.kind for found in images.values()}
    where = f"{name}: images range from {low:.6g} to {high:.6g}"
    if np.isnan(low):
        raise ValueError(
            f"{name}: images hold NaN; look at where they were computed or decoded."
        )
    if kinds <= {"u", "i"}:
        if 1 < high <= 255 and low >= 0:
            return functools.partial(np.asarray, dtype=np.uint8)
        raise ValueError(
            f"{where} in whole numbers; expected grey levels from 0 to 255. Scale "
            "them, or save floats in [0, 1]."
        )
    if kinds <= {"f"} and low >= 0 and _GREY_LEVELS < high <= 255:
        return lambda chosen: chosen.astype(np.float32) / np.float32(255)
    if kinds <= {"f"} and -ROUNDING <= low and high <= 1 + ROUNDING:
        return lambda chosen: chosen.astype(np.float32)
    try:
        check_images(np.array([[[[low, high]]]], np.float32))
    except ValueError as error:
        raise ValueError(
            f"{name}: {error} Floats are taken for grey levels only if all are in "
            f"[0, 255] and one is above {_GREY_LEVELS}."
        ) from None
    raise ValueError(
        f"{where}, of type {sorted(str(f.dtype) for f in images.values())}; expected "
        "uint8 grey levels, or floats in [0, 1] or [0, 255], in all arrays."
    )
