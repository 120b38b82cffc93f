"""Blurs, and fog; images and results as in `pixelwise`."""

import math

import numpy as np
from scipy import ndimage

from igam_tf.evaluation.corruptions.pixelwise import Draws


def gaussian_blur(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Averages neighbours with normal weights."""
    del draws
    return _smoothed(images, (0.4, 0.6, 0.7, 0.8, 1.0)[severity - 1])


def defocus_blur(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Averages over a disk whose edge is smoothed."""
    del draws
    sizes = ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))
    radius, edge = sizes[severity - 1]
    place = np.arange(-3, 4)
    disk = (place[:, None] ** 2 + place**2 <= radius**2).astype(float)
    weights = np.exp(-(np.array([-1.0, 0.0, 1.0]) ** 2) / (2 * edge**2))
    smooth = np.outer(weights, weights) / weights.sum() ** 2
    kernel = ndimage.convolve(disk / disk.sum(), smooth, mode="constant")
    return ndimage.convolve(images, kernel[None, :, :, None], mode="mirror")


def glass_blur(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Blurs, takes each pixel from beside it at random, and blurs again.

    The paper's text has pixels exchanged; the script exchanges two views of one array,
    which copies, and the published files are what it made. Its pixels come from their
    own place, the one above, the one to the left, or between these.
    """
    sizes = ((0.05, 1), (0.25, 1), (0.4, 1), (0.25, 2), (0.4, 2))
    sigma, rounds = sizes[severity - 1]
    found = _smoothed(images, sigma)
    height, width = images.shape[1:3]
    moves = np.stack(
        [draw.integers(-1, 1, (rounds, 2, height, width)) for draw in draws]
    )
    # The first two rows and columns stay.
    moves[..., :2, :] = moves[..., :2] = 0
    rows, columns = np.mgrid[:height, :width]
    number = np.arange(len(images))[:, None, None]
    for turn in range(rounds):
        down, right = moves[:, turn, 0], moves[:, turn, 1]
        found = found[number, rows + down, columns + right]
    return _smoothed(found, sigma)


def motion_blur(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Averages along a line to one side, with weights that fall off normally.

    The angle is drawn within 45 degrees of the horizontal. CIFAR-10-C was made by
    ImageMagick's motion blur; this follows its description (one-sided weights, shifts
    by whole pixels, edges repeated), and not its code.
    """
    sizes = ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5))
    radius, sigma = sizes[severity - 1]
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    weights /= weights.sum()
    angles = np.radians([draw.uniform(-45, 45) for draw in draws])
    height, width = images.shape[1:3]
    number = np.arange(len(images))[:, None, None]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    found = np.zeros_like(images)
    for step, weight in zip(steps, weights):
        down = np.rint(step * np.sin(angles)).astype(int)[:, None, None]
        right = np.rint(step * np.cos(angles)).astype(int)[:, None, None]
        from_row = np.clip(rows + down, 0, height - 1)
        from_column = np.clip(columns + right, 0, width - 1)
        found += weight * images[number, from_row, from_column]
    return found


def zoom_blur(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Averages the image with enlarged copies of it, in steps of a hundredth.

    The published range ends before 1.06, 1.11, 1.16, 1.21 and 1.26, and rounding lets
    the first two of them in.
    """
    del draws
    most = (6, 11, 15, 20, 25)[severity - 1]
    factors = 1 + np.arange(most + 1) / 100
    total = images + sum(_enlarged(images, factor) for factor in factors)
    return total / (len(factors) + 1)


def fog(images: np.ndarray, severity: int, draws: Draws) -> np.ndarray:
    """Adds a cloud of random heights, and scales back to the brightest value."""
    sizes = ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75))
    amount, decay = sizes[severity - 1]
    height, width = images.shape[1:3]
    side = 2 ** max(1, math.ceil(math.log2(max(height, width))))
    clouds = np.stack([_cloud(side, decay, draw) for draw in draws])
    brightest = images.max(axis=(1, 2, 3), keepdims=True)
    foggy = images + amount * clouds[:, :height, :width, None]
    return foggy * brightest / (brightest + amount)


def _smoothed(images, sigma):
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def _enlarged(images, factor):
    """The centre of the images, enlarged to their size by linear interpolation."""
    rows, columns = (_enlarging(size, factor) for size in images.shape[1:3])
    found = np.tensordot(images, columns, (2, 1))  # (n, height, channels, width)
    return np.tensordot(found, rows, (1, 1)).transpose(0, 3, 2, 1)


def _enlarging(size, factor):
    """The matrix (size, size) that enlarges the centre of a line of pixels."""
    kept = math.ceil(size / factor)
    large = round(kept * factor)
    first, trimmed = (size - kept) // 2, (large - size) // 2
    # First and last pixel of what is kept stay first and last.
    places = np.arange(large) * (kept - 1) / max(1, large - 1)
    places = places[trimmed : trimmed + size]
    below = np.minimum(places.astype(int), max(0, kept - 2))
    matrix = np.zeros((size, size))
    line = np.arange(size)
    matrix[line, first + below] += 1 - (places - below)
    matrix[line, first + np.minimum(below + 1, kept - 1)] += places - below
    return matrix


def _cloud(side, decay, draw):
    """A periodic map of heights in [0, 1] by the diamond-square algorithm.

    Args:
        side: of the map, a power of two.
        decay: what the size of the random part is divided by from one level to the
            next.
        draw: random generator.
    """
    heights = np.zeros((side, side))
    step, size = side, 100.0

    def around(total):
        return total / 4 + size * draw.uniform(-size, size, total.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        below = corners + np.roll(corners, -1, axis=0)
        heights[half::step, half::step] = around(below + np.roll(below, -1, axis=1))
        middles = heights[half::step, half::step]
        beside = middles + np.roll(middles, 1, axis=0)
        heights[::step, half::step] = around(
            beside + corners + np.roll(corners, -1, axis=1)
        )
        beside = middles + np.roll(middles, 1, axis=1)
        heights[half::step, ::step] = around(
            beside + corners + np.roll(corners, -1, axis=0)
        )
        step, size = half, size / decay
    heights -= heights.min()
    return heights / max(heights.max(), np.finfo(float).tiny)
