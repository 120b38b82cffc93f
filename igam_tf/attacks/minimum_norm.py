"""What attacks share that look for the smallest perturbation: DDN and FMN.

They go to the boundary of the true class and along it. The norm of the perturbation is
no bound that is given: it shrinks where the image is misclassified and grows where it
is not, so that one run gives the robust accuracy at every eps.
"""

import abc
import dataclasses
import math
from collections.abc import Hashable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import input_gradient
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.engine.images import DEFAULT_BATCH_SIZE
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import flat_lengths, l2_step, per_image, where
from igam_tf.attacks.losses import margin
from igam_tf.attacks.nearest import FAR, nearest_images
from igam_tf.attacks.stepwise import StepwiseAttack

# How far a point must lie beyond the boundary to count, as a share of the span of its
# logits, and in last digits of the largest: these differ from one size of a batch to
# another. A number that all logits have in common has no part in it but for its digits.
_BEYOND = 1e-5
_ROUNDING = 4 * np.finfo(np.float32).eps


class Look(NamedTuple):
    """What was seen at a point.

    Attributes:
        size: norm of its perturbation, (batch,).
        lead: lead of the best wrong class over the true one, in logits, (batch,).
        is_beyond: whether it lies clearly beyond the boundary, bool (batch,).
        objective: what steps ascend, (batch,).
        gradient: of the objective, like the images.
    """

    size: tf.Tensor
    lead: tf.Tensor
    is_beyond: tf.Tensor
    objective: tf.Tensor
    gradient: tf.Tensor


class MinimumNormAttack(StepwiseAttack):
    """An attack that gives each image the smallest perturbation it can find.

    Called as any attack it returns what it found within eps; `nearest` returns what it
    found, however far, with its distance.

    Attributes: see the arguments of its subclasses.
    """

    num_steps: int
    alpha_init: float
    gamma_init: float

    # Of what is drawn where an image has no gradient at all.
    seed = 0
    passes = Passes(1, 1)

    def _check(self, norms: tuple[str, ...], shares: tuple[str, ...]) -> None:
        """Raises ValueError unless the settings of all such attacks are in range."""
        checks.one_of("norm", self.norm, norms)
        checks.radius("eps", self.eps, self.norm)
        checks.whole_number("num_steps", self.num_steps, 1)
        checks.step("alpha_init", self.alpha_init, "l2", 1.0)
        for name in shares:
            checks.share(name, getattr(self, name))

    def _number(self, name: str) -> np.float32:
        return np.float32(getattr(self, name))

    @property
    def structure(self) -> Hashable:
        return (self.name, self.norm)

    @property
    def numbers(self) -> Numbers:
        names = ("num_steps", "alpha_init", "gamma_init")
        numbers = {name: self._number(name) for name in names}
        return {**numbers, "reach": self._number("eps")}

    def chunks(self) -> list[int]:
        return [*range(10, self.num_steps, 10), self.num_steps]

    def nearest(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        first_index: int = 0,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest adversarial images found: see `nearest.nearest_images`."""
        return nearest_images(
            self, model, images, labels, first_index=first_index, batch_size=batch_size
        )

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images, labels = start["images"], start["labels"]
        return {
            "images": images,
            "labels": labels,
            "targets": start["targets"],
            "seeds": start["seeds"],
            "adversarial": images,
            "found": images,
            "distance": tf.fill(tf.shape(labels), FAR),
            "size": self._first_size(labels, numbers),
            "misclassified": tf.zeros_like(labels, tf.bool),
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
        images, point = state["images"], state["adversarial"]
        look = self._look(model, state, training)
        closer = look.is_beyond & (look.size < state["distance"])
        distance = tf.where(closer, look.size, state["distance"])
        kept = closer & (look.size <= numbers["reach"])
        # From 1 to 0, by a cosine.
        share = tf.cast(step, tf.float32) / numbers["num_steps"]
        decay = (1.0 + tf.cos(math.pi * share)) / 2.0
        size = self._next_size({**state, "distance": distance}, look, decay, numbers)
        # Never farther than the corner of the box that is farthest from the image.
        farthest = flat_lengths(tf.maximum(images, 1.0 - images), self.norm)
        size = tf.minimum(size, farthest)
        alpha = numbers["alpha_init"] * (0.01 + 0.99 * decay)
        moved = point + alpha * l2_step(self._ascent(look.gradient, state, step))
        return {
            **state,
            "adversarial": self._resized(moved, images, per_image(size, images)),
            "found": where(kept, point, state["found"]),
            "distance": distance,
            "size": size,
            "misclassified": distance <= numbers["reach"],
        }

    def _look(self, model, state, training):
        point = state["adversarial"]

        def objective(logits):
            return self._objective(logits, state)

        logits, value, gradient = input_gradient(objective, model, point, training)
        lead = margin(logits, state["labels"])
        is_beyond = lead > _last_digits(logits)
        size = flat_lengths(point - state["images"], self.norm)
        return Look(size, lead, is_beyond, value, gradient)

    def _ascent(
        self, gradient: tf.Tensor, state: Tensors, step: tf.Tensor
    ) -> tf.Tensor:
        """The direction of a step, like the images, of any length."""
        del state, step
        return gradient

    @abc.abstractmethod
    def _objective(self, logits: tf.Tensor, state: Tensors) -> tf.Tensor:
        """What steps ascend: one number an image."""

    @abc.abstractmethod
    def _first_size(self, labels: tf.Tensor, numbers: Tensors) -> tf.Tensor:
        """The norm of the perturbation at the beginning, (batch,)."""

    @abc.abstractmethod
    def _next_size(
        self, state: Tensors, look: Look, decay: tf.Tensor, numbers: Tensors
    ) -> tf.Tensor:
        """The norm of the next perturbation, (batch,)."""

    @abc.abstractmethod
    def _resized(
        self, points: tf.Tensor, images: tf.Tensor, size: tf.Tensor
    ) -> tf.Tensor:
        """Points brought to perturbations of a size, inside the box."""

    def __repr__(self):
        settings = (
            f"{field.name}={getattr(self, field.name):g}"
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.name not in ("eps", "norm")
        )
        return (
            f"{type(self).__name__}(eps={fraction(self.eps)}, norm={self.norm!r}, "
            f"{', '.join(settings)})"
        )


def _last_digits(logits):
    """What a lead must exceed to be more than rounding, (batch,)."""
    span = tf.reduce_max(logits, axis=1) - tf.reduce_min(logits, axis=1)
    return _BEYOND * span + _ROUNDING * tf.reduce_max(tf.abs(logits), axis=1)
