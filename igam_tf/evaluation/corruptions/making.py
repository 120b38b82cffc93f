"""Common corruptions of any images, with the strengths of CIFAR-10-C.

The numbers of each severity are those of the script that CIFAR-10-C was made by
(ImageNet-C/create_c/make_cifar_c.py of github.com/hendrycks/robustness), taken as
facts; the code is our own, of NumPy, SciPy and Pillow. What differs from the published
files, beside the random draws: `motion_blur` follows the description of ImageMagick's;
`elastic_transform` has one rule for both of its edges. Snow, frost and spatter are not
made. The numbers are meant for images of 32 x 32; on others they are stronger or
weaker.
"""

import zlib
from collections.abc import Callable

import numpy as np

from igam_tf.evaluation.corruptions import blurs, pixelwise, warps
from igam_tf.evaluation.corruptions.names import Corruptions

#: Another number with every change of what is made.
VERSION = 2

_MAKERS: dict[str, Callable[[np.ndarray, int, pixelwise.Draws], np.ndarray]] = {
    "gaussian_noise": pixelwise.gaussian_noise,
    "shot_noise": pixelwise.shot_noise,
    "impulse_noise": pixelwise.impulse_noise,
    "speckle_noise": pixelwise.speckle_noise,
    "defocus_blur": blurs.defocus_blur,
    "glass_blur": blurs.glass_blur,
    "motion_blur": blurs.motion_blur,
    "zoom_blur": blurs.zoom_blur,
    "gaussian_blur": blurs.gaussian_blur,
    "fog": blurs.fog,
    "brightness": pixelwise.brightness,
    "contrast": pixelwise.contrast,
    "saturate": pixelwise.saturate,
    "elastic_transform": warps.elastic_transform,
    "pixelate": warps.pixelate,
    "jpeg_compression": pixelwise.jpeg_compression,
}


def corrupted(
    images: np.ndarray,
    kind: str,
    severity: int,
    *,
    seed: int = 0,
    first_index: int = 0,
) -> np.ndarray:
    """Images under one corruption.

    Args:
        images: float array (n, height, width, channels) in [0, 1], of 1 or 3 channels.
        kind: name of the corruption, one of `names.PAPER` and `names.EXTRA`.
        severity: whole number from 1 to 5.
        seed: integer, zero or above.
        first_index: place of the first image in its data set. What is drawn at random
            depends on the seed, the corruption, the severity and an image's place, and
            not on the batch.

    Returns:
        uint8 array like `images`: 256 grey levels, rounded down, as in the published
        files.

    Raises:
        ValueError: if name, severity or images do not fit.

    Source: Hendrycks & Dietterich, ICLR 2019.
    """
    Corruptions(kinds=(kind,), severities=(severity,))
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images of shape {images.shape}: expected (n, height, width, channels) "
            "with 1 or 3 channels."
        )
    if images.dtype.kind != "f" or not (0 <= images.min() and images.max() <= 1):
        raise ValueError(
            f"images are {images.dtype} from {images.min():.6g} to "
            f"{images.max():.6g}: expected floating-point numbers in [0, 1]; divide "
            "grey levels by 255."
        )
    key = zlib.crc32(kind.encode())
    draws = [
        np.random.default_rng([seed, key, severity, first_index + number])
        for number in range(len(images))
    ]
    found = _MAKERS[kind](images.astype(np.float64), severity, draws)
    # A value of k / 255 may lie a rounding error below k.
    return np.floor(255 * np.clip(found, 0, 1) + 1e-6).astype(np.uint8)
