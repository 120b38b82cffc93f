"""Corruptions that move pixels; images and results as in `pixelwise`."""

import numpy as np
from PIL import Image
from scipy import ndimage

from igam_tf.evaluation.corruptions.pixelwise import Draws, by_pillow


def pixelate(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Makes the image smaller and large again, by averages over boxes."""
    del draws
    part = (0.95, 0.9, 0.85, 0.75, 0.65)[severity - 1]
    height, width = images.shape[1:3]
    small = (max(1, int(width * part)), max(1, int(height * part)))

    def change(image):
        box = Image.Resampling.BOX
        return image.resize(small, box).resize((width, height), box)

    return by_pillow(images, change)


def elastic_transform(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Moves three points of the image at random, and then every pixel a little."""
    # Strength and smoothness of the local shifts, and of those of the three points, all
    # as parts of the side.
    sizes = ((0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05),
             (0.1, 0.03, 0.03))  # fmt: skip
    side = min(images.shape[1:3])
    strength, smoothness, shift = (side * part for part in sizes[severity - 1])
    turned = _sampled(images, *_affine(images, shift, draws))
    if not strength:
        return turned
    shape = images.shape[1:3]
    fields = np.stack([draw.uniform(-1, 1, (2, *shape)) for draw in draws])
    fields = strength * ndimage.gaussian_filter(
        fields, (0, 0, smoothness, smoothness), mode="reflect", truncate=3
    )
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return _sampled(turned, rows + fields[:, 0], columns + fields[:, 1])


def _affine(images, shift, draws):
    """From where each pixel comes, once three points of a square have moved."""
    height, width = images.shape[1:3]
    arm = min(height, width) // 3
    centre = np.array([height // 2, width // 2])
    points = centre + np.array([[arm, arm], [arm, -arm], [-arm, -arm]])
    moved = points + np.stack([draw.uniform(-shift, shift, (3, 2)) for draw in draws])
    ones = np.ones((len(images), 3, 1))
    # The map from the moved points to where they were: an affine one is given by three.
    backwards = np.linalg.solve(
        np.concatenate([moved, ones], axis=2),
        np.broadcast_to(points.astype(float), moved.shape),
    )
    rows, columns = np.mgrid[:height, :width]
    places = np.stack([rows, columns, np.ones_like(rows)], axis=-1).reshape(-1, 3)
    found = (places @ backwards).reshape(len(images), height, width, 2)
    return found[..., 0], found[..., 1]


def _sampled(images, rows, columns):
    """Values between pixels, linearly; beyond the edge the image is mirrored.

    Args:
        images: array (n, height, width, channels).
        rows, columns: arrays (n, height, width), where each pixel is taken from.
    """
    number = np.arange(len(images))[:, None, None]
    rows, columns = (
        _mirrored(places, size)
        for places, size in zip((rows, columns), images.shape[1:3])
    )
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    below = np.minimum(top + 1, images.shape[1] - 1)
    beside = np.minimum(left + 1, images.shape[2] - 1)
    upper = (1 - right) * images[number, top, left] + right * images[
        number, top, beside
    ]
    lower = (1 - right) * images[number, below, left] + right * images[
        number, below, beside
    ]
    return (1 - down) * upper + down * lower


def _mirrored(places, size):
    """Places within [0, size - 1], mirrored at both ends."""
    period = max(1, 2 * (size - 1))
    places = np.abs(places) % period
    return np.minimum(places, period - places)
