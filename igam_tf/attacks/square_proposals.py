"""What the Square attack proposes: its start, and a changed square at each query.

Uniform numbers decide, an image's own whatever its batch: two corners, the pattern's
orientation, and a sign for each channel.
"""

import tensorflow as tf

from igam_tf.attacks.geometry import lengths, project, within
from igam_tf.attacks.square_patterns import bumps, tiles

_TINY = 1e-12
# In L1 the radius is met from below, as by the authors.
_INSIDE = 1.0 - 1e-6


def first_point(
    images: tf.Tensor, seeds: tf.Tensor, eps: tf.Tensor, norm: str
) -> tf.Tensor:
    """The point at which the search starts.

    Args:
        images: float tensor (batch, height, width, channels) in [0, 1].
        seeds: int32 tensor (batch, 2).
        eps: radius of the ball.
        norm: "linf" for vertical stripes, "l2" or "l1" for a grid of patterns.

    Returns:
        Tensor like `images`.
    """
    _, _, width, channels = images.shape
    if norm == "linf":
        change = eps * _signs(uniform(seeds, 0, [1, width, channels]))
        return tf.clip_by_value(images + change, 0.0, 1.0)
    change = _grid(seeds, images.shape, norm)
    if norm == "l1":
        return project(images + change, images, eps * _INSIDE, norm)
    change = eps * change / (lengths(change, norm) + _TINY)
    return tf.clip_by_value(images + change, 0.0, 1.0)


def propose_linf(state, draw, square, eps):
    """All pixels of a square to the far end of the ball, one sign a channel."""
    side, _ = square
    rows, columns = _window(draw[:, 0], draw[:, 1], side, state["images"].shape)
    signs = _signs(draw[:, 5:])[:, None, None, :]
    change = rows[:, :, None, None] * (columns[:, None, :, None] * (2.0 * eps * signs))
    return within(state["adversarial"] + change, state, eps, "linf")


def propose_l2(state, draw, square, eps):
    """Moves the norm of one square into another, shaped as the pattern."""
    images = state["images"]
    delta, new, target, source = _reshaped(state, draw, square, _l2)
    unused = tf.maximum(eps**2 - tf.square(_l2(delta, [1, 2, 3])), 0.0)
    unused /= images.shape[-1]
    moved = tf.square(_l2(delta * tf.maximum(target, source), [1, 2]))
    new *= target * tf.sqrt(unused + moved) / (_TINY + _l2(new * target, [1, 2]))
    delta = delta * (1.0 - source) * (1.0 - target) + new
    delta *= eps / (_l2(delta, [1, 2, 3]) + _TINY)
    return tf.clip_by_value(images + delta, 0.0, 1.0)


def propose_l1(state, draw, square, eps):
    """As in L2, with more than the norm that is there: the projection takes it away."""
    images, channels = state["images"], state["images"].shape[-1]
    delta, new, target, source = _reshaped(state, draw, square, _l1)
    unused = tf.maximum(eps - _l1(delta, [1, 2, 3]), 0.0)
    moved = _l1(delta * tf.maximum(target, source), [1, 2])
    new *= target * (unused + channels * moved) / (_TINY + _l1(new * target, [1, 2]))
    delta = delta * (1.0 - source) * (1.0 - target) + new
    return project(images + delta, images, eps * _INSIDE, "l1")


PROPOSALS = {"linf": propose_linf, "l2": propose_l2, "l1": propose_l1}


def _reshaped(state, draw, square, length):
    """The change so far, the new one of a square, and masks of it and of another."""
    (side, pattern), images = square, state["images"]
    delta = state["adversarial"] - images
    rows, columns = _window(draw[:, 0], draw[:, 1], side, images.shape)
    target = rows[:, :, None, None] * columns[:, None, :, None]
    rows2, columns2 = _window(draw[:, 2], draw[:, 3], side, images.shape)
    source = rows2[:, :, None, None] * columns2[:, None, :, None]
    pattern = _placed(pattern, draw, side)[..., None]
    old = delta * target
    new = pattern * _signs(draw[:, 5:])[:, None, None, :]
    return delta, new + old / (_TINY + length(old, [1, 2])), target, source


def _window(u, v, side, shape):
    """Rows (batch, height) and columns (batch, width) of squares, as 0 and 1."""
    _, height, width, _ = shape
    return _interval(u, side, height), _interval(v, side, width)


def _interval(u, side, length):
    first = _first(u, side, length)
    pixels = tf.range(length, dtype=tf.float32)
    inside = (pixels >= first) & (pixels < first + tf.cast(side, tf.float32))
    return tf.cast(inside, tf.float32)


def _first(u, side, length):
    """First row (batch, 1) of a window; the last is never drawn, as by the authors."""
    return tf.floor(u * tf.cast(length - side, tf.float32))[:, None]


def _placed(pattern, draw, side):
    """The pattern, in one of two orientations, at each image's corner.

    Outside of the window are copies of the pattern's edges: proposals mask them.
    """
    height, width = pattern.shape
    both = tf.reshape(tf.stack([pattern, _flipped(pattern)]), [-1])
    turned = tf.cast(draw[:, 4] > 0.5, tf.int32)[:, None] * height
    rows = turned + _shifted(draw[:, 0], side, height)
    columns = _shifted(draw[:, 1], side, width)
    return tf.gather(both, rows[:, :, None] * width + columns[:, None, :])


def _flipped(pattern):
    """Transposes the square in the upper left corner of an oblong array."""
    height, width = pattern.shape
    least = min(height, width)
    flipped = tf.transpose(pattern[:least, :least])
    return tf.pad(flipped, [[0, height - least], [0, width - least]])


def _shifted(u, side, length):
    """(batch, length): for each row of an image the row of the pattern."""
    first = tf.cast(_first(u, side, length), tf.int32)
    return tf.clip_by_value(tf.range(length) - first, 0, length - 1)


def _grid(seeds, shape, norm):
    """The start in L2 and L1: a grid of patterns with random signs, orientations."""
    _, height, width, channels = shape
    corners, side = tiles(height, width)
    draw = uniform(seeds, 0, [len(corners), 1 + channels])
    pattern = bumps(side, norm)
    rows = []
    for number, (row, column) in enumerate(corners):
        flip = draw[:, number, :1, None] > 0.5
        tile = tf.where(flip, pattern.T[None], pattern[None])[..., None]
        tile *= _signs(draw[:, number, 1:])[:, None, None, :]
        right, below = width - column - side, height - row - side
        rows.append(tf.pad(tile, [[0, 0], [row, below], [column, right], [0, 0]]))
    return tf.add_n(rows)


def uniform(seeds: tf.Tensor, salt: tf.Tensor | int, shape: list) -> tf.Tensor:
    """Uniform numbers (batch, *shape) in [0, 1), an image's own whatever the batch."""
    # An odd constant: int32 wraps around, and no two salts meet.
    moved = seeds + tf.stack([tf.cast(salt, tf.int32) * 0x3C6EF373, 0])
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform(shape, seed, alg="philox"),
        moved,
        fn_output_signature=tf.float32,
    )


def _signs(u):
    return tf.where(u < 0.5, -1.0, 1.0)


def _l2(values, axes):
    return tf.sqrt(tf.reduce_sum(tf.square(values), axis=axes, keepdims=True))


def _l1(values, axes):
    return tf.reduce_sum(tf.abs(values), axis=axes, keepdims=True)
