"""SPSA (Uesato et al. 2018): PGD along a gradient estimated from outputs."""

import dataclasses
import math
from collections.abc import Hashable

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import is_wrong, logits_of
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import STEPS, bounds, per_image, where, within
from igam_tf.attacks.losses import margin, margin_targeted
from igam_tf.attacks.stepwise import StepwiseAttack

MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class SPSA(StepwiseAttack):
    """Ascends the margin without its gradient, which rounding or a ripple may hide.

    Simultaneous perturbation (Spall 1992) as an attack (Uesato et al. 2018): at each
    step the difference of the margin between image + delta v and image - delta v, with
    signs v drawn at random for all pixels at once, estimates the slope along v; the
    gradient is the mean over `num_samples` draws. Differences over a good part of the
    ball look past steps and waves that are smaller. Where Uesato et al. follow the
    estimate by Adam, here it is averaged over steps with momentum and followed as by
    PGD; steps begin at eps / 4 and shrink to nothing, linearly.

    An image costs 2 * num_samples + 1 forward passes a step.

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf" or "l2".
        num_targets: 0 to ascend the lead of the best wrong class, else the number of
            classes, those next to the true one in the clean logits, whose lead is
            ascended, a run for each; fewer if the model has fewer.
        num_steps: number of steps.
        num_samples: number of pairs of queries whose differences are averaged.
        delta: length of v in the norm, or None for eps / 2.
        seed: integer, seed of the signs.

    Raises:
        ValueError: if a hyper-parameter is outside its range.
    """

    eps: float
    norm: str = "linf"
    num_targets: int = 0
    num_steps: int = 40
    num_samples: int = 64
    delta: float | None = None
    seed: int = 0

    name = "spsa"
    random_start = True
    begin_passes = Passes(1, 0)

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, checks.NORMS)
        checks.radius("eps", self.eps, self.norm)
        if self.delta is not None:
            checks.step("delta", self.delta, self.norm, self.eps)
        checks.whole_number("num_targets", self.num_targets, 0)
        for name in ("num_steps", "num_samples"):
            checks.whole_number(name, getattr(self, name), 1)
        checks.seed(self.seed)

    @property
    def structure(self) -> Hashable:
        return ("spsa", self.norm, self.num_targets > 0)

    @property
    def passes(self) -> Passes:
        return Passes(2 * self.num_samples + 1, 0)

    @property
    def numbers(self) -> Numbers:
        delta = self.eps / 2 if self.delta is None else self.delta
        return {
            "eps": np.float32(self.eps),
            "delta": np.float32(delta),
            "num_steps": np.int32(self.num_steps),
            "num_samples": np.int32(self.num_samples),
        }

    def chunks(self) -> list[int]:
        return [*range(5, self.num_steps, 5), self.num_steps]

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images, labels = start["images"], start["labels"]
        logits = logits_of(model, images, training)
        return {
            **bounds(images, numbers["eps"], self.norm),
            "labels": labels,
            "targets": start["targets"],
            "seeds": start["seeds"],
            "adversarial": images,
            "found": images,
            "velocity": tf.zeros_like(images),
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
        eps, point = numbers["eps"], state["adversarial"]
        velocity = MOMENTUM * state["velocity"] + self._slope(
            model, state, step, numbers, training
        )
        left = 1.0 - tf.cast(step, tf.float32) / tf.cast(
            numbers["num_steps"], tf.float32
        )
        moved = point + 0.25 * eps * left * STEPS[self.norm](velocity)
        moved = within(moved, state, eps, self.norm)
        logits, labels = logits_of(model, moved, training), state["labels"]
        lead, wrong = margin(logits, labels), is_wrong(logits, labels)
        take = ~state["misclassified"] & (wrong | (lead > state["lead"]))
        return {
            **state,
            "adversarial": moved,
            "velocity": velocity,
            "found": where(take, moved, state["found"]),
            "lead": tf.where(take, lead, state["lead"]),
            "misclassified": state["misclassified"] | wrong,
        }

    def _slope(self, model, state, step, numbers, training):
        """The estimated gradient, scaled to a mean of 1 without sign."""
        point, count = state["adversarial"], numbers["num_samples"]
        bits = _bits(state["seeds"], step, count, math.prod(point.shape[1:]))
        size = math.prod(point.shape[1:]) ** 0.5 if self.norm == "l2" else 1.0
        length = numbers["delta"] / size

        def score(images):
            logits = logits_of(model, tf.clip_by_value(images, 0.0, 1.0), training)
            if self.num_targets:
                return margin_targeted(logits, state["labels"], state["targets"])
            return margin(logits, state["labels"])

        def add(sample, total):
            signs = tf.reshape(_signs(bits[:, sample], point), tf.shape(point))
            slope = score(point + length * signs) - score(point - length * signs)
            return sample + 1, total + per_image(slope, point) * signs

        _, total = tf.while_loop(
            lambda sample, _: sample < count,
            add,
            (0, tf.zeros_like(point)),
            parallel_iterations=1,
        )
        axes = list(range(1, point.shape.rank))
        mean = tf.reduce_mean(tf.abs(total), axis=axes, keepdims=True)
        return tf.math.divide_no_nan(total, mean)

    def __repr__(self):
        targets = f", num_targets={self.num_targets}" if self.num_targets else ""
        delta = "" if self.delta is None else f", delta={fraction(self.delta)}"
        return (
            f"SPSA(eps={fraction(self.eps)}, norm={self.norm!r}{targets}, "
            f"num_steps={self.num_steps}, num_samples={self.num_samples}{delta}, "
            f"seed={self.seed})"
        )


def _bits(seeds, step, num_samples, size):
    """Random bits (batch, samples, size / 32), an image's own whatever the batch."""
    # An odd constant: int32 wraps around, and no two steps meet.
    moved = seeds + tf.stack([(step + 1) * 0x3C6EF373, 0])
    shape = [num_samples, -(-size // 32)]
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform(
            shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        ),
        moved,
        fn_output_signature=tf.int32,
    )


def _signs(bits, images):
    """-1 or 1 for each value of the images, from 32 bits an integer."""
    single = tf.bitwise.right_shift(bits[:, :, None], tf.range(32)) & 1
    flat = tf.reshape(single, [tf.shape(bits)[0], -1])
    return 2.0 * tf.cast(flat[:, : math.prod(images.shape[1:])], tf.float32) - 1.0
