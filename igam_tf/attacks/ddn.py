"""DDN, decoupled direction and norm (Rony et al. 2019), in L2."""

import dataclasses

import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.engine.batching import Numbers
from igam_tf.attacks.geometry import flat_lengths, lengths, normal_noise, where
from igam_tf.attacks.losses import cross_entropy
from igam_tf.attacks.minimum_norm import MinimumNormAttack


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class DDN(MinimumNormAttack):
    """Steps along the gradient of the cross entropy, on a sphere whose radius adapts.

    The radius shrinks by a share where the image is misclassified, and grows by it
    where it is not; the perturbation is always scaled to it. Images are not rounded to
    grey levels, as the authors' are. Where the cross entropy has no gradient left in
    float32 (very confident models) a step goes in a random direction, as theirs does.

    Args:
        eps: radius within which a call returns what it found, as a fraction; it changes
            nothing in the search.
        norm: "l2".
        num_steps: number of steps, each a forward and a backward pass.
        alpha_init: L2 length of the first step; the last is a hundredth of it.
        gamma_init: share by which the radius changes.
        size_init: radius at the beginning.

    Raises:
        ValueError: if a hyper-parameter is outside its range.

    Source: Rony, Hafemann, Oliveira, Ben Ayed, Sabourin, Granger: Decoupling Direction
    and Norm for Efficient Gradient-Based L2 Adversarial Attacks and Defenses, CVPR
    2019, Algorithm 1.
    """

    eps: float
    norm: str = "l2"
    num_steps: int = 100
    alpha_init: float = 1.0
    gamma_init: float = 0.05
    size_init: float = 1.0

    name = "ddn"

    def __post_init__(self) -> None:
        if self.norm != "l2":
            raise ValueError(
                f"norm is {self.norm!r}: expected 'l2', for which DDN is defined; FMN "
                "('fmn') is its like in Linf and L1."
            )
        self._check(("l2",), ("gamma_init",))
        checks.step("size_init", self.size_init, self.norm, 1.0)

    @property
    def numbers(self) -> Numbers:
        return {**super().numbers, "size_init": self._number("size_init")}

    def _objective(self, logits, state):
        return cross_entropy(logits, state["labels"])

    def _ascent(self, gradient, state, step):
        is_flat = flat_lengths(gradient, "linf") == 0
        noise = normal_noise(gradient, state["seeds"] + tf.stack([step + 1, 0]))
        return where(is_flat, noise, gradient)

    def _first_size(self, labels, numbers):
        return tf.fill(tf.shape(labels), numbers["size_init"])

    def _next_size(self, state, look, decay, numbers):
        gamma = numbers["gamma_init"]
        return state["size"] * tf.where(look.is_beyond, 1.0 - gamma, 1.0 + gamma)

    def _resized(self, points, images, size):
        change = points - images
        scale = tf.math.divide_no_nan(size, lengths(change, "l2"))
        return tf.clip_by_value(images + change * scale, 0.0, 1.0)
