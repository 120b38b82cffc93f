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
from igam_tf.attacks.geometry import bounds, where
from igam_tf.attacks.losses import margin
from igam_tf.attacks.square_patterns import bumps, square_sides
from igam_tf.attacks.square_proposals import PROPOSALS, first_point, uniform
from igam_tf.attacks.stepwise import StepwiseAttack

_LONGEST_CHUNK = 250


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Square(StepwiseAttack):
    """Changes one random square a query, and keeps what lowers the true class' lead.

    Every image has squares of its own, drawn from the seed and the image's place (the
    authors' code draws them once for a whole batch).

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
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
        checks.one_of("norm", self.norm, checks.ALL_NORMS)
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
        table = uniform(state["seeds"], start + 1, [stop - start, 5 + channels])
        return table, start

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images, labels, seeds = start["images"], start["labels"], start["seeds"]
        eps = numbers["eps"]
        point = first_point(images, seeds, eps, self.norm)
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
        new = PROPOSALS[self.norm](state, draw, square, numbers["eps"])
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
        """Side of a query's square; but for Linf its pattern, in an image's corner."""
        _, height, width, _ = state["images"].shape
        sides = square_sides(self.num_queries, self.p_init, height, width, self.norm)
        if self.norm == "linf":
            return tf.constant(sides)[step], None
        sizes, numbers = np.unique(sides, return_inverse=True)
        patterns = np.zeros((len(sizes), height, width), np.float32)
        for pattern, size in zip(patterns, sizes, strict=True):
            pattern[:size, :size] = bumps(size, self.norm)
        number = tf.constant(numbers)[step]
        return tf.constant(sides)[step], tf.constant(patterns)[number]

    def __repr__(self):
        return (
            f"Square(eps={fraction(self.eps)}, norm={self.norm!r}, "
            f"num_queries={self.num_queries}, p_init={self.p_init:g}, "
            f"num_restarts={self.num_restarts}, seed={self.seed})"
        )
