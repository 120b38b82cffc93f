"""Noise, colours and compression: corruptions that leave every pixel where it is.

Images are float64 arrays (n, height, width, channels) in [0, 1], and so are results,
which `making` clips; `draws` are random generators, one an image. The numbers of each
severity are those of CIFAR-10-C (`making` says where they are published).
"""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

Draws = Sequence[np.random.Generator]


def gaussian_noise(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Adds normal noise to each value."""
    scale = (0.04, 0.06, 0.08, 0.09, 0.10)[severity - 1]
    return images + scale * _normal(images, draws)


def shot_noise(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Counts photons: a Poisson variable whose mean is the value, scaled."""
    photons = (500, 250, 100, 75, 50)[severity - 1]
    counts = [draw.poisson(photons * image) for draw, image in zip(draws, images)]
    return np.stack(counts) / photons


def impulse_noise(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Sets a share of the values to 0 or 1, each as often."""
    share = (0.01, 0.02, 0.03, 0.05, 0.07)[severity - 1]
    found = images.copy()
    for image, draw in zip(found, draws):
        chance = draw.uniform(size=image.shape)
        image[chance < share] = 1.0
        image[chance < share / 2] = 0.0
    return found


def speckle_noise(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Adds normal noise in proportion to the value."""
    scale = (0.06, 0.10, 0.12, 0.16, 0.20)[severity - 1]
    return images + scale * images * _normal(images, draws)


def contrast(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Moves the values of each channel towards their mean."""
    del draws
    kept = (0.75, 0.5, 0.4, 0.3, 0.15)[severity - 1]
    means = images.mean(axis=(1, 2), keepdims=True)
    return means + kept * (images - means)


def brightness(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Raises the value of hue, saturation and value; grey levels as they are."""
    del draws
    added = (0.05, 0.10, 0.15, 0.20, 0.30)[severity - 1]
    if images.shape[-1] == 1:
        return images + added
    return _in_hsv(images, lambda hsv: hsv + np.array([0, 0, added]))


def saturate(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Scales and shifts the saturation.

    Raises:
        ValueError: for images of one channel, which have none.
    """
    del draws
    factor, shift = ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2))[severity - 1]
    if images.shape[-1] != 3:
        raise ValueError(
            "corruption 'saturate' of images with one channel: expected colours; leave "
            "it out of the corruptions."
        )

    def change(hsv):
        return hsv * np.array([1, factor, 1]) + np.array([0, shift, 0])

    return _in_hsv(images, change)


def jpeg_compression(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Compresses to JPEG and back."""
    del draws
    quality = (80, 65, 58, 50, 40)[severity - 1]

    def compress(image):
        written = io.BytesIO()
        image.save(written, "JPEG", quality=quality)
        return Image.open(written)

    return by_pillow(images, compress)


def by_pillow(images: np.ndarray, change) -> np.ndarray:
    """Images after a function from a Pillow image to one of the same size."""
    levels = np.floor(255 * np.clip(images, 0, 1) + 1e-6).astype(np.uint8)
    found = []
    for image in levels:
        grey = image.shape[-1] == 1
        changed = change(Image.fromarray(image[..., 0] if grey else image))
        found.append(np.asarray(changed).reshape(image.shape))
    return np.stack(found) / 255


def _normal(images, draws):
    return np.stack([draw.normal(size=images.shape[1:]) for draw in draws])


def _in_hsv(images, change):
    from matplotlib import colors

    return colors.hsv_to_rgb(np.clip(change(colors.rgb_to_hsv(images)), 0, 1))
