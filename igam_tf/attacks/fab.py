"""FAB, the fast adaptive boundary attack (Croce & Hein 2020)."""

import dataclasses
from collections.abc import Hashable
from typing import Self

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import input_gradient, is_wrong, logits_of
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import (
    DUAL,
    flat_lengths,
    lengths,
    on_sphere,
    per_image,
    to_hyperplane,
    where,
)
from igam_tf.attacks.losses import margin_targeted
from igam_tf.attacks.nearest import AT_A_TIE, FAR, nearest_images
from igam_tf.attacks.stepwise import StepwiseAttack

_TINY = 1e-12


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class FAB(StepwiseAttack):
    """Looks for the nearest adversarial image, by steps to the linearised boundary.

    A step goes to the hyperplane on which the linearised logits of the true and the
    target class are equal, a bit beyond it, and a bit towards the point of it that is
    nearest to the original. From an adversarial image it goes back towards the original
    by 1 - beta. An image is done with once one is found within eps.

    Where both logits are equal, a step goes a little beyond. Without targets a step
    goes to the nearest of the hyperplanes of all other classes, which takes a backward
    pass for each class.

    Args:
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
        num_targets: target classes, those that come after the true one in the clean
            logits; fewer if the model has fewer. 9 in AutoAttack, 0 for none.
        num_steps: number of steps for each target.
        num_restarts: number of runs for each target; the first starts at the original,
            others at a random point of size eps / 2.
        alpha_max: largest weight of the original's projection in a step.
        eta: step beyond the boundary, 1 for none.
        beta: share of the perturbation that is kept going back.
        seed: integer, seed of the random starts.
        num_classes: of the model; `for_classes` knows it. It only counts passes.

    Raises:
        ValueError: if a hyper-parameter is outside its range.
    """

    eps: float
    norm: str = "linf"
    num_targets: int = 9
    num_steps: int = 100
    num_restarts: int = 1
    alpha_max: float = 0.1
    eta: float = 1.05
    beta: float = 0.9
    seed: int = 0
    num_classes: int = 10

    def __post_init__(self) -> None:
        checks.one_of("norm", self.norm, checks.ALL_NORMS)
        checks.radius("eps", self.eps, self.norm)
        checks.whole_number("num_targets", self.num_targets, 0)
        for name in ("num_steps", "num_restarts"):
            checks.whole_number(name, getattr(self, name), 1)
        for name in ("alpha_max", "beta"):
            checks.share(name, getattr(self, name))
        checks.factor("eta", self.eta, 1)
        checks.seed(self.seed)

    @property
    def name(self) -> str:  # type: ignore[override]
        return "fab-t" if self.num_targets else "fab"

    @property
    def passes(self) -> Passes:
        return Passes(2, 1 if self.num_targets else self.num_classes)

    def for_classes(self, num_classes: int) -> Self:
        attack = super().for_classes(num_classes)
        return dataclasses.replace(attack, num_classes=num_classes)

    @property
    def random_start(self) -> bool:  # type: ignore[override]
        return self.num_restarts > 1

    @property
    def structure(self) -> Hashable:
        return ("fab", self.norm, self.num_targets > 0)

    @property
    def numbers(self) -> Numbers:
        names = ("eps", "alpha_max", "eta", "beta")
        numbers = {name: np.float32(getattr(self, name)) for name in names}
        return {**numbers, "reach": np.float32(self.eps)}

    def chunks(self) -> list[int]:
        first = {n for n in (3, 6) if n < self.num_steps}
        return sorted(first | set(range(10, self.num_steps, 10)) | {self.num_steps})

    def nearest(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        first_index: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The nearest adversarial images found, however far.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 array or tensor (batch, height, width, channels) in [0, 1].
            labels: integers (batch,).
            first_index: place of the first image in its data set.

        Returns:
            Tuple of a float32 array like `images` (the originals where nothing was
            found) and a float32 array (batch,): distances in the norm, 0 for an image
            that is misclassified as it is, infinity where nothing was found.
        """
        return nearest_images(self, model, images, labels, first_index=first_index)

    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        images = start["images"]
        size = tf.where(numbers["restart"] > 0, numbers["eps"] / 2.0, 0.0)
        point = tf.cond(
            size > 0.0,
            lambda: images + size * on_sphere(images, start["seeds"], self.norm),
            lambda: images,
        )
        labels = start["labels"]
        return {
            "images": images,
            "labels": labels,
            "targets": start["targets"],
            "adversarial": tf.clip_by_value(point, 0.0, 1.0),
            "found": images,
            "distance": tf.fill(tf.shape(labels), FAR),
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
        images, labels = state["images"], state["labels"]
        point = self._beyond_boundary(model, state, numbers, training)
        wrong = is_wrong(logits_of(model, point, training), labels)
        change = point - images
        reached = self._lengths(_flat(change))
        closer = wrong & (reached < state["distance"])
        distance = tf.where(closer, reached, state["distance"])
        closer &= reached <= numbers["reach"]
        back = images + numbers["beta"] * change
        return {
            **state,
            "adversarial": where(wrong, back, point),
            "found": where(closer, point, state["found"]),
            "distance": distance,
            "misclassified": distance <= numbers["reach"],
        }

    def _beyond_boundary(self, model, state, numbers, training):
        """The next point: beyond the linearised boundary, nearer to the original."""
        images, point = state["images"], state["adversarial"]
        lead, gradient = self._plane(model, state, training)
        normals, away = _flat(gradient), _flat(images - point)
        # The same plane, seen from the point and from the original: projected at once.
        changes = to_hyperplane(
            tf.concat([_flat(point), _flat(images)], axis=0),
            tf.concat([normals, normals], axis=0),
            tf.concat([lead, lead + tf.reduce_sum(normals * away, axis=1)], axis=0),
            self.norm,
        )
        sizes = tf.maximum(self._lengths(changes), 1e-8)
        from_point, from_image = tf.split(changes, 2)
        size_from_point, size_from_image = tf.split(sizes, 2)
        share = size_from_point / (size_from_point + size_from_image)
        share = per_image(tf.minimum(share, numbers["alpha_max"]), images)
        shape, eta = tf.shape(images), numbers["eta"]
        ahead = point + eta * tf.reshape(from_point, shape)
        near = images + eta * tf.reshape(from_image, shape)
        return tf.clip_by_value((1.0 - share) * ahead + share * near, 0.0, 1.0)

    def _plane(self, model, state, training):
        """Lead of a class over the true one, and its gradient, at the present point."""
        point, labels = state["adversarial"], state["labels"]

        def lead_of(logits):
            return margin_targeted(logits, labels, state["targets"])

        if self.num_targets:
            _, lead, gradient = input_gradient(lead_of, model, point, training)
        else:
            lead, gradient = nearest_plane(model, point, labels, self.norm, training)
        steepness = flat_lengths(gradient, DUAL[self.norm])
        return tf.where(lead == 0, -AT_A_TIE * steepness, lead), gradient

    def _lengths(self, flat):
        return lengths(flat, self.norm)[:, 0]

    def __repr__(self):
        return (
            f"FAB(eps={fraction(self.eps)}, norm={self.norm!r}, "
            f"num_targets={self.num_targets}, num_steps={self.num_steps}, "
            f"num_restarts={self.num_restarts}, alpha_max={self.alpha_max:g}, "
            f"eta={self.eta:g}, beta={self.beta:g}, seed={self.seed})"
        )


def nearest_plane(
    model: keras.Model,
    points: tf.Tensor,
    labels: tf.Tensor,
    norm: str,
    training: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The class whose linearised boundary is nearest: its lead and the lead's gradient.

    Args:
        model: Keras model from images to logits (batch, classes).
        points: float tensor (batch, ...).
        labels: integer tensor (batch,), the true classes.
        norm: "linf", "l2" or "l1", in which the boundary is near.
        training: bool, the mode of the model.

    Returns:
        Tuple of a float tensor (batch,), negative while the true class leads, and a
        tensor like `points`.
    """
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        tape.watch(points)
        logits = logits_of(model, points, training)
        leads = logits - tf.gather(logits, labels, axis=1, batch_dims=1)[:, None]

    def compare(number, distance, lead, gradient):
        new = _gradient_of_one(tape, leads, points, number)
        steepness = flat_lengths(new, DUAL[norm]) + _TINY
        away = tf.abs(leads[:, number]) / steepness
        # NaN is taken as well, and stays, so that it shows. (Graphs make "nearer" of
        # "not farther", which NaN is not.)
        nearer = (away < distance) | tf.math.is_nan(away)
        take = (labels != number) & nearer & ~tf.math.is_nan(distance)
        distance = tf.where(take, away, distance)
        lead = tf.where(take, leads[:, number], lead)
        return number + 1, distance, lead, where(take, new, gradient)

    nowhere = tf.fill(tf.shape(labels), np.float32(np.inf))
    _, _, lead, gradient = tf.while_loop(
        lambda number, *_: number < leads.shape[1],
        compare,
        (0, nowhere, tf.zeros_like(nowhere), tf.zeros_like(points)),
        parallel_iterations=1,
    )
    return lead, gradient


def _gradient_of_one(tape, leads, points, number):
    """The gradient of one column of the leads; zero where there is none."""
    chosen = tf.one_hot(number, leads.shape[1]) * tf.ones_like(leads)
    gradient = tape.gradient(leads, points, output_gradients=chosen)
    return tf.zeros_like(points) if gradient is None else gradient


def _flat(images):
    """(batch, ...) as (batch, d)."""
    return tf.reshape(images, [-1, int(np.prod(images.shape[1:]))])
