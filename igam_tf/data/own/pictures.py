"""Looks at and decodes image files, by Pillow.

Pillow and not TensorFlow's decoders: it reads WebP and CMYK, knows sizes without
decoding, and names what is wrong with a file.
"""

import collections
import io
import os
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

#: Endings of files that are taken for images.
SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".gif"})
FORMATS = "JPEG, PNG, WebP, BMP or GIF"
# JPEG brings MPO, the photographs of some telephones.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_ORIENTATION = 0x0112
_SWAPS_SIDES = range(5, 9)
# Pixels a side that are decoded for each one needed, as in Pillow's thumbnails.
_SPARE = 2.0
# What Pillow raises for files that are no images, cut off, damaged or too large.
_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnreadableError(ValueError):
    """A file is no image, or a damaged one."""


class Header(NamedTuple):
    """What is known of an image before it is decoded."""

    height: int
    width: int
    is_grey: bool


def header(file: str | os.PathLike | bytes) -> Header:
    """Size (as seen, after EXIF's orientation) and kind of an image.

    Args:
        file: path, or contents of a file.

    Raises:
        UnreadableError: if it is no image.
    """
    try:
        with Image.open(_opened(file), formats=_FORMATS) as image:
            width, height = image.size
            if _orientation(image) in _SWAPS_SIDES:
                width, height = height, width
            return Header(height, width, _is_grey(image))
    except _ERRORS as error:
        raise UnreadableError(_reason(error)) from error


def decode(
    file: str | os.PathLike | bytes,
    channels: int,
    size: tuple[int, int] | None,
    center_crop: float = 1.0,
) -> np.ndarray:
    """Decodes one image; of an animation the first picture.

    Transparent pixels become white; CMYK becomes RGB; 16 bits become 8.

    Args:
        file: path, or contents of a file.
        channels: 1 for grey, 3 for RGB.
        size: (height, width) to resize to, by the shorter side, and to crop to, in the
            centre; None: as it is.
        center_crop: part of the side that is kept, if there is a size.

    Returns:
        uint8 [height, width, channels].

    Raises:
        UnreadableError: if it cannot be decoded to its end.
    """
    try:
        with Image.open(_opened(file), formats=_FORMATS) as opened:
            image = _upright(opened).convert("L" if channels == 1 else "RGB")
            return fitted(image, size, center_crop)
    except _ERRORS as error:
        raise UnreadableError(_reason(error)) from error


def cropped(
    file: bytes,
    image_shape: tuple[int, int, int],
    *,
    box: tuple[int, int, int, int] | None = None,
    center_crop: float = 1.0,
) -> np.ndarray:
    """Decodes a part of one image, and resizes it.

    A JPEG is decoded at a half, a quarter or an eighth of its size where that leaves
    twice the pixels that are needed.

    Args:
        file: contents of a file.
        image_shape: (height, width, channels) of the result.
        box: (top, left, height, width) of the part, in pixels of the image as
            `header` counts them; None: the centre.
        center_crop: part of the side that the centre is.

    Returns:
        uint8 [height, width, channels].

    Raises:
        UnreadableError: if it cannot be decoded to its end.
    """
    height, width, channels = image_shape
    try:
        with Image.open(io.BytesIO(file), formats=_FORMATS) as opened:
            if box is None:
                shorter = min(opened.size) * center_crop
                reduction = shorter / max(height, width)
            else:
                reduction = min(box[2] / height, box[3] / width)
            whole = _reduced(opened, reduction / _SPARE)
            image = _upright(opened).convert("L" if channels == 1 else "RGB")
            if box is None:
                return fitted(image, (height, width), center_crop)
            # Sides are rounded up where the size is reduced, and may be swapped.
            scale = max(image.size) / max(whole)
            top, left, *sides = (scale * number for number in box)
            right = min(left + sides[1], image.size[0])
            bottom = min(top + sides[0], image.size[1])
            return _pixels(
                image.resize(
                    (width, height),
                    Image.Resampling.BILINEAR,
                    box=(left, top, right, bottom),
                )
            )
    except _ERRORS as error:
        raise UnreadableError(_reason(error)) from error


def check(file: bytes) -> None:
    """Decodes an image to its end, as roughly as its format allows.

    Raises:
        UnreadableError: if it cannot be.
    """
    try:
        with Image.open(io.BytesIO(file), formats=_FORMATS) as opened:
            opened.draft(None, (1, 1))
            opened.load()
    except _ERRORS as error:
        raise UnreadableError(_reason(error)) from error


def fitted(
    image: Image.Image, size: tuple[int, int] | None, center_crop: float = 1.0
) -> np.ndarray:
    """Pixels of an RGB or grey image, resized by its shorter side and cropped.

    Args:
        image: in mode L or RGB.
        size: (height, width), or None.
        center_crop: part of the side that is kept.

    Returns:
        uint8 [height, width, channels].
    """
    if size is not None:
        # Averages over what a pixel covers, so that large photographs do not alias.
        image = ImageOps.fit(
            image,
            (size[1], size[0]),
            method=Image.Resampling.BILINEAR,
            bleed=(1 - center_crop) / 2,
        )
    return _pixels(image)


def _opened(file):
    return io.BytesIO(file) if isinstance(file, bytes) else file


def _pixels(image):
    pixels = np.asarray(image, np.uint8)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _upright(opened):
    """The decoded image, turned as EXIF says, flat."""
    # Before the pixels, as header() does: behind them Pillow may find another.
    turned = _orientation(opened) != 1
    opened.load()
    return _flat(ImageOps.exif_transpose(opened) if turned else opened)


def _reduced(opened, reduction):
    """Has a JPEG decoded at a part of its size; returns the size it has as a whole."""
    whole = opened.size
    if reduction >= 2:
        opened.draft(None, tuple(max(1, int(side / reduction)) for side in whole))
    return whole


def _flat(image):
    """Without transparency, in 8 bits."""
    if image.mode.startswith("I"):
        # 16 grey bits; Pillow's own conversion would clip and not scale them.
        values = np.asarray(image).astype(np.int64)
        return Image.fromarray((values // 257).clip(0, 255).astype(np.uint8))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image)
    return image


def _orientation(image):
    if image.format == "PNG" and "exif" not in image.info:
        # Pillow would decode the whole file to look for it at the end.
        return 1
    return image.getexif().get(_ORIENTATION, 1)


def _is_grey(image):
    return image.mode in ("1", "L", "LA", "La") or image.mode.startswith("I")


def _reason(error):
    if isinstance(error, Image.UnidentifiedImageError):
        return f"no {FORMATS}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


def sizes_found(headers: Sequence[Header]) -> str:
    """Sentence about the sizes of images, for a refusal."""
    sizes = collections.Counter((h.height, h.width) for h in headers)
    kinds = sorted(sizes, key=lambda size: size[0] * size[1])
    (most, count), *_ = sizes.most_common(1)
    (low_h, low_w), (high_h, high_w) = kinds[0], kinds[-1]
    often = f", most often {most[0]}x{most[1]} ({count} images)" if count > 1 else ""
    return (
        f"{len(headers)} images have {len(kinds)} sizes, from {low_h}x{low_w} to "
        f"{high_h}x{high_w} (height x width){often}"
    )
