"""Auto-PGD (Croce & Hein 2020, Algorithm 1): PGD that chooses its own step size."""

import dataclasses
from collections.abc import Hashable
from typing import Self

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import apgd_l1, checks
from igam_tf.attacks.classifier import input_gradient, is_wrong
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import (
    STEPS,
    bounds,
    on_sphere,
    per_image,
    where,
    within,
)
from igam_tf.attacks.losses import APGD_LOSSES, TARGETED, for_classes
from igam_tf.attacks.stepwise import StepwiseAttack

MOMENTUM = 0.75


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class APGD(StepwiseAttack):
    """Steps with momentum; at checkpoints the step is halved where progress stopped.

    The step starts at 2 eps. At a checkpoint it is halved for every image whose loss
    rose in at most `rho` of the steps since the last one, or whose step and best loss
    have not changed since: the image then restarts at its best point. L1 has steps and
    checkpoints of its own, in balls of 3, 2 and 1 times the radius (`apgd_l1.py`).

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
        loss: "cross_entropy", "dlr", or "dlr_targeted": one run for each of the
            classes that come after the true one in the clean logits ("margin" and
            "margin_targeted" are the same without the ratio's denominator).
        num_targets: number of those classes, 9 in AutoAttack; fewer if the model has
            fewer.
        num_steps: number of steps; in L1 at least 3, and two more passes.
        num_restarts: number of random starts (for each target).
        rho: see above; not used in L1.
        eot_iter: gradients averaged at each step, for models with random outputs.
        seed: integer, seed of the random starts.

    Raises:
        ValueError: if a hyper-parameter is outside its range.
    """

    eps: float
    norm: str = "linf"
    loss: str = "cross_entropy"
    num_targets: int | None = None  # type: ignore[assignment]
    num_steps: int = 100
    num_restarts: int = 1
    rho: float = 0.75
    eot_iter: int = 1
    seed: int = 0

    random_start = True

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, checks.ALL_NORMS)
        checks.one_of("loss", self.loss, APGD_LOSSES)
        checks.radius("eps", self.eps, self.norm)
        checks.share("rho", self.rho)
        least_steps = len(apgd_l1.RADII) if self.norm == "l1" else 1
        checks.whole_number("num_steps", self.num_steps, least_steps)
        for name in ("num_restarts", "eot_iter"):
            checks.whole_number(name, getattr(self, name), 1)
        checks.seed(self.seed)
        targeted = self.loss in TARGETED
        if self.num_targets is None:
            object.__setattr__(self, "num_targets", 9 if targeted else 0)
        least = 1 if targeted else 0
        checks.whole_number("num_targets", self.num_targets, least)  # type: ignore[arg-type]
        if self.num_targets and not targeted:
            raise ValueError(
                f"num_targets is {self.num_targets} with loss {self.loss!r}: expected "
                f"a targeted loss, one of {TARGETED}."
            )

    @property
    def name(self) -> str:  # type: ignore[override]
        kind = {"cross_entropy": "ce", "dlr": "dlr", "margin": "margin"}
        return f"apgd-{kind.get(self.loss, 't')}"

    @property
    def drops_misclassified(self) -> bool:  # type: ignore[override]
        # A random model misclassifies by chance: those images need all the steps.
        return self.eot_iter == 1

    @property
    def structure(self) -> Hashable:
        return ("apgd", self.norm, self.loss, self.eot_iter > 1)

    @property
    def passes(self) -> Passes:
        return Passes(self.eot_iter, self.eot_iter)

    begin_passes = passes

    def for_classes(self, num_classes: int) -> Self:
        attack = super().for_classes(num_classes)
        return dataclasses.replace(attack, loss=for_classes(self.loss, num_classes))

    def notes(self, num_classes: int) -> list[str]:
        loss = for_classes(self.loss, num_classes)
        if loss == self.loss:
            return []
        return [
            f"{self.name}: {num_classes} classes are too few for the DLR loss, which "
            f"divides by a span of {3 if self.loss == 'dlr' else 4} logits; "
            f"{loss.split('_')[0]}, its numerator, is used."
        ]

    @property
    def numbers(self) -> Numbers:
        eot_iter = {"eot_iter": np.int32(self.eot_iter)}
        if self.norm == "l1":
            return {**apgd_l1.numbers(self.eps, self.num_steps), **eot_iter}
        return {
            "eps": np.float32(self.eps),
            "rho": np.float32(self.rho),
            "windows": self.windows(),
            **eot_iter,
        }

    def windows(self) -> np.ndarray:
        """For each step the length of the window that a checkpoint ends there, or 0.

        In Linf and L2 checkpoints come after 22 % of the steps, then in intervals that
        shrink by 3 % to no less than 6 % of the steps.
        """
        windows = np.zeros(self.num_steps, np.int32)
        length = max(int(0.22 * self.num_steps), 1)
        shrink = max(int(0.03 * self.num_steps), 1)
        shortest = max(int(0.06 * self.num_steps), 1)
        end = length
        while end <= self.num_steps:
            windows[end - 1] = length
            length = max(length - shrink, shortest)
            end += length
        return windows

    def chunks(self) -> list[int]:
        if self.norm == "l1":
            return apgd_l1.chunks(self.num_steps)
        ends = set((np.nonzero(self.windows())[0] + 1).tolist())
        early = {n for n in (5, 11) if n < self.num_steps}
        return sorted(early | ends | {self.num_steps})

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images, labels = start["images"], start["labels"]
        look = self._looker(model, start, numbers, training)
        if self.norm == "l1":
            return apgd_l1.begin(start, numbers, look)
        noise = on_sphere(images, start["seeds"], self.norm)
        point = tf.clip_by_value(images + numbers["eps"] * noise, 0.0, 1.0)
        logits, loss, gradient = look(point)
        return {
            **bounds(images, numbers["eps"], self.norm),
            "labels": labels,
            "targets": start["targets"],
            "adversarial": point,
            "previous": point,
            "gradient": gradient,
            "best": point,
            "best_gradient": gradient,
            "best_loss": loss,
            "found": point,
            "misclassified": is_wrong(logits, labels),
            "step_size": 2.0 * numbers["eps"] * tf.ones_like(loss),
            # The authors' code compares the first step's loss to 0, and not to the
            # loss at the start.
            "last_loss": tf.zeros_like(loss),
            "num_rises": tf.zeros_like(labels),
            "loss_at_checkpoint": loss,
            "halved": tf.ones_like(loss, tf.bool),
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
        look = self._looker(model, state, numbers, training)
        if self.norm == "l1":
            return apgd_l1.advance(state, step, numbers, look)
        moved = self._moved(state, step, numbers["eps"])
        logits, loss, gradient = look(moved)
        wrong, better = is_wrong(logits, state["labels"]), loss > state["best_loss"]
        rises = tf.cast(loss > state["last_loss"], tf.int32)
        new_found = wrong | (better & ~state["misclassified"])
        state = {
            **state,
            "adversarial": moved,
            "previous": state["adversarial"],
            "gradient": gradient,
            "best": where(better, moved, state["best"]),
            "best_gradient": where(better, gradient, state["best_gradient"]),
            "best_loss": tf.where(better, loss, state["best_loss"]),
            "found": where(new_found, moved, state["found"]),
            "misclassified": state["misclassified"] | wrong,
            "last_loss": loss,
            "num_rises": state["num_rises"] + rises,
        }
        window = numbers["windows"][step]
        return tf.cond(
            window > 0,
            lambda: _checkpoint(state, window, numbers["rho"]),
            lambda: state,
        )

    def _moved(self, state, step, eps):
        point = state["adversarial"]
        length = per_image(state["step_size"], point)
        ahead = point + length * STEPS[self.norm](state["gradient"])
        ahead = within(ahead, state, eps, self.norm)
        share = tf.where(step > 0, MOMENTUM, 1.0)
        coasting = 2.0 * point - state["previous"]
        return within(share * ahead + (1.0 - share) * coasting, state, eps, self.norm)

    def _looker(self, model, state, numbers, training):
        """`_look` at images whose labels and targets a state has."""
        wanted = state["labels"], state["targets"]
        return lambda images: self._look(model, images, *wanted, numbers, training)

    def _look(self, model, images, labels, targets, numbers, training):
        """Logits, losses and the gradient of their sum (one draw, or eot_iter)."""
        wanted = (labels, targets) if self.loss in TARGETED else (labels,)

        def loss_of(logits):
            return APGD_LOSSES[self.loss](logits, *wanted)

        def one_draw():
            return input_gradient(loss_of, model, images, training)

        if self.eot_iter == 1:
            return one_draw()

        def add(count, logits, loss, gradient):
            logits, loss, more = one_draw()
            return count + 1, logits, loss, gradient + more

        count = numbers["eot_iter"]
        _, logits, loss, gradient = tf.while_loop(
            lambda done, *_: done < count, add, (1, *one_draw()), parallel_iterations=1
        )
        return logits, loss, gradient / tf.cast(count, gradient.dtype)

    def __repr__(self):
        targets = f", num_targets={self.num_targets}" if self.num_targets else ""
        eot = f", eot_iter={self.eot_iter}" if self.eot_iter > 1 else ""
        return (
            f"APGD(eps={fraction(self.eps)}, norm={self.norm!r}, loss={self.loss!r}"
            f"{targets}, num_steps={self.num_steps}, num_restarts={self.num_restarts}, "
            f"rho={self.rho:g}{eot}, seed={self.seed})"
        )


def _checkpoint(state, window, rho):
    """Halves the step where progress stopped, and goes back to the best point there."""
    rises = tf.cast(state["num_rises"], tf.float32)
    rarely = rises <= rho * tf.cast(window, tf.float32)
    stuck = ~state["halved"] & (state["loss_at_checkpoint"] >= state["best_loss"])
    halve = rarely | stuck
    return {
        **state,
        "step_size": tf.where(halve, state["step_size"] / 2.0, state["step_size"]),
        "adversarial": where(halve, state["best"], state["adversarial"]),
        "gradient": where(halve, state["best_gradient"], state["gradient"]),
        "num_rises": tf.zeros_like(state["num_rises"]),
        "loss_at_checkpoint": state["best_loss"],
        "halved": halve,
    }
