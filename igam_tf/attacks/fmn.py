"""FMN, the fast minimum-norm attack (Pintor et al. 2021), in Linf, L2 and L1."""

import dataclasses
from collections.abc import Hashable

import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.engine.batching import Numbers
from igam_tf.attacks.geometry import DUAL, flat_lengths, project
from igam_tf.attacks.losses import margin, margin_targeted
from igam_tf.attacks.minimum_norm import MinimumNormAttack
from igam_tf.attacks.nearest import AT_A_TIE, FAR


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class FMN(MinimumNormAttack):
    """Steps along the gradient of the margin, in a ball whose radius adapts.

    Until a perturbation is found the radius is that of the linearised boundary, and a
    share more; from then on it shrinks by that share where the image is misclassified
    and grows by it where it is not. The share and the steps fall by a cosine.

    The authors' code differs twice: it has no share more, and may stay on the very
    boundary of a linear model; and in L1 it clips to the box after the projection onto
    the ball, where `l1.project_l1` onto both leaves more of the radius to use.

    With targets it runs once towards each: without one it goes to whichever wrong class
    leads, and may end at a boundary from which a nearer one cannot be seen. What it
    meets on its way in any other wrong class counts, too, where the authors' does not.

    Args:
        eps: radius within which a call returns what it found, as a fraction such as
            8/255; it changes nothing in the search.
        norm: "linf", "l2" or "l1", the norm that is made small.
        num_steps: number of steps, each a forward and a backward pass.
        alpha_init: L2 length of the first step; the last is a hundredth of it.
        gamma_init: share by which the radius changes at first.
        gamma_final: share by which it changes at the end.
        num_targets: target classes, those that come after the true one in the clean
            logits, one run each; fewer if the model has fewer. 0: no targets.

    Raises:
        ValueError: if a hyper-parameter is outside its range.

    Source: Pintor, Roli, Brendel, Biggio: Fast Minimum-norm Adversarial Attacks through
    Adaptive Norm Constraints, NeurIPS 2021, Algorithm 1.
    """

    eps: float
    norm: str = "linf"
    num_steps: int = 100
    alpha_init: float = 1.0
    gamma_init: float = 0.05
    gamma_final: float = 0.001
    num_targets: int = 0

    def __post_init__(self) -> None:
        self._check(checks.ALL_NORMS, ("gamma_init", "gamma_final"))
        checks.whole_number("num_targets", self.num_targets, 0)

    @property
    def name(self) -> str:  # type: ignore[override]
        return "fmn-t" if self.num_targets else "fmn"

    @property
    def structure(self) -> Hashable:
        return (super().structure, self.num_targets > 0)

    @property
    def numbers(self) -> Numbers:
        return {**super().numbers, "gamma_final": self._number("gamma_final")}

    def _objective(self, logits, state):
        if not self.num_targets:
            return margin(logits, state["labels"])
        return margin_targeted(logits, state["labels"], state["targets"])

    def _first_size(self, labels, numbers):
        return tf.fill(tf.shape(labels), FAR)

    def _next_size(self, state, look, decay, numbers):
        final = numbers["gamma_final"]
        gamma = final + (numbers["gamma_init"] - final) * decay
        size, distance = state["size"], state["distance"]
        steepness = tf.maximum(flat_lengths(look.gradient, DUAL[self.norm]), 1e-12)
        boundary = look.size + tf.abs(look.objective) / steepness
        boundary = tf.maximum(boundary, AT_A_TIE)
        farther = tf.where(distance < FAR, size, boundary) * (1.0 + gamma)
        nearer = tf.minimum(size * (1.0 - gamma), distance)
        return tf.where(look.is_beyond, nearer, farther)

    def _resized(self, points, images, size):
        return project(points, images, size, self.norm)
