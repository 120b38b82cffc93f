"""Square attack (Andriushchenko et al. 2020): random search that needs no gradients."""

import dataclasses
from collections.abc import Hashable

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import is_wrong, logits_of
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import bounds, where, within
from igam_tf.attacks.losses import margin
from igam_tf.attacks.square_patterns import l2_pattern, l2_tiles, square_sides
from igam_tf.attacks.stepwise import StepwiseAttack

_TINY = 1e-12
_LONGEST_CHUNK = 250


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Square(StepwiseAttack):
    """Changes one random square a query, and keeps what lowers the true class' lead.

    Every image has squares of its own, drawn from the seed and the image's place (the
    authors' code draws them once for a whole batch).

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf" or "l2".
        num_queries: number of queries after the first one.
        p_init: share of the pixels that the first squares cover.
        num_restarts: number of random starts.
        seed: integer, seed of everything random.

    Raises:
        ValueError: if a hyper-parameter is outside its range.
    """

    eps: float
    norm: str = "linf"
    num_queries: int = 5000
    p_init: float = 0.8
    num_restarts: int = 1
    seed: int = 0

    name = "square"
    random_start = True
    passes = begin_passes = Passes(1, 0)

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, checks.NORMS)
        checks.radius("eps", self.eps, self.norm)
        checks.share("p_init", self.p_init)
        for name in ("num_queries", "num_restarts"):
            checks.whole_number(name, getattr(self, name), 1)
        checks.seed(self.seed)

    @property
    def structure(self) -> Hashable:
        return ("square", self.norm, self.num_queries, self.p_init)

    @property
    def numbers(self) -> Numbers:
        return {"eps": np.float32(self.eps)}

    def chunks(self) -> list[int]:
        starts = (10, 25, 50, 100, 175, *range(250, self.num_queries, _LONGEST_CHUNK))
        return [n for n in starts if n < self.num_queries] + [self.num_queries]

    def draws(self, state: Tensors, start: tf.Tensor, stop: tf.Tensor) -> tuple:
        """Uniform numbers (batch, steps, k): two corners, the flip and the signs."""
        channels = state["images"].shape[-1]
        table = _uniform(state["seeds"], start + 1, [stop - start, 5 + channels])
        return table, start

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images, labels, seeds = start["images"], start["labels"], start["seeds"]
        eps = numbers["eps"]
        if self.norm == "linf":
            # Vertical stripes.
            _, _, width, channels = images.shape
            change = eps * _signs(_uniform(seeds, 0, [1, width, channels]))
        else:
            tiles = _tiles(seeds, images.shape)
            change = eps * tiles / (_l2(tiles, [1, 2, 3]) + _TINY)
        point = tf.clip_by_value(images + change, 0.0, 1.0)
        logits = logits_of(model, point, training)
        return {
            **bounds(images, eps, self.norm),
            "labels": labels,
            "seeds": seeds,
            "adversarial": point,
            "found": point,
            "lead": margin(logits, labels),
            "misclassified": is_wrong(logits, labels),
        }

    def advance(
        self,
        model: keras.Model,
        state: Tensors,
        step: tf.Tensor,
        draws: tuple,
        numbers: Tensors,
        training: bool,
    ) -> Tensors:
        table, start = draws
        draw, square = table[:, step - start], self._square(state, step)
        propose = _propose_linf if self.norm == "linf" else _propose_l2
        new = propose(state, draw, square, numbers["eps"])
        logits = logits_of(model, new, training)
        lead = margin(logits, state["labels"])
        wrong = is_wrong(logits, state["labels"])
        take = ~state["misclassified"] & (wrong | (lead > state["lead"]))
        found = where(take, new, state["found"])
        return {
            **state,
            "adversarial": found,
            "found": found,
            "lead": tf.where(take, lead, state["lead"]),
            "misclassified": state["misclassified"] | wrong,
        }

    def _square(self, state, step):
        """Side of a query's square, and for L2 the pattern, in an image's corner."""
        _, height, width, _ = state["images"].shape
        sides = square_sides(self.num_queries, self.p_init, height, width, self.norm)
        if self.norm == "linf":
            return tf.constant(sides)[step], None
        sizes, numbers = np.unique(sides, return_inverse=True)
        patterns = np.zeros((len(sizes), height, width), np.float32)
        for pattern, size in zip(patterns, sizes, strict=True):
            pattern[:size, :size] = l2_pattern(size)
        number = tf.constant(numbers)[step]
        return tf.constant(sides)[step], tf.constant(patterns)[number]

    def __repr__(self):
        return (
            f"Square(eps={fraction(self.eps)}, norm={self.norm!r}, "
            f"num_queries={self.num_queries}, p_init={self.p_init:g}, "
            f"num_restarts={self.num_restarts}, seed={self.seed})"
        )


def _propose_linf(state, draw, square, eps):
    """All pixels of a square to the far end of the ball, one sign a channel."""
    side, _ = square
    rows, columns = _window(draw[:, 0], draw[:, 1], side, state["images"].shape)
    signs = _signs(draw[:, 5:])[:, None, None, :]
    change = rows[:, :, None, None] * (columns[:, None, :, None] * (2.0 * eps * signs))
    return within(state["adversarial"] + change, state, eps, "linf")


def _propose_l2(state, draw, square, eps):
    """Moves the norm of one square into another, shaped as the pattern."""
    (side, pattern), images = square, state["images"]
    delta = state["adversarial"] - images
    rows, columns = _window(draw[:, 0], draw[:, 1], side, images.shape)
    target = rows[:, :, None, None] * columns[:, None, :, None]
    rows2, columns2 = _window(draw[:, 2], draw[:, 3], side, images.shape)
    source = rows2[:, :, None, None] * columns2[:, None, :, None]
    pattern = _placed(pattern, draw, side)[..., None]
    old = delta * target
    new = pattern * _signs(draw[:, 5:])[:, None, None, :]
    new += old / (_TINY + _l2(old, [1, 2]))
    unused = tf.maximum(eps**2 - tf.square(_l2(delta, [1, 2, 3])), 0.0)
    unused /= images.shape[-1]
    moved = tf.square(_l2(delta * tf.maximum(target, source), [1, 2]))
    new *= target * tf.sqrt(unused + moved) / (_TINY + _l2(new * target, [1, 2]))
    delta = delta * (1.0 - source) * (1.0 - target) + new
    delta *= eps / (_l2(delta, [1, 2, 3]) + _TINY)
    return tf.clip_by_value(images + delta, 0.0, 1.0)


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

    Outside of the window are copies of the pattern's edges: `_propose_l2` masks them.
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


def _tiles(seeds, shape):
    """The L2 start: a grid of patterns with random signs and orientations."""
    _, height, width, channels = shape
    corners, side = l2_tiles(height, width)
    draw = _uniform(seeds, 0, [len(corners), 1 + channels])
    pattern = l2_pattern(side)
    rows = []
    for number, (row, column) in enumerate(corners):
        flip = draw[:, number, :1, None] > 0.5
        tile = tf.where(flip, pattern.T[None], pattern[None])[..., None]
        tile *= _signs(draw[:, number, 1:])[:, None, None, :]
        right, below = width - column - side, height - row - side
        rows.append(tf.pad(tile, [[0, 0], [row, below], [column, right], [0, 0]]))
    return tf.add_n(rows)


def _uniform(seeds, salt, shape):
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
