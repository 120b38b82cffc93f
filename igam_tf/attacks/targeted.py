"""Targeted PGD: towards chosen classes, one after the other."""

import dataclasses
import typing
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.attack import check_result
from igam_tf.attacks.classifier import is_wrong, logits_of, num_classes
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.compilation import compiled_for_any_batch
from igam_tf.attacks.geometry import SEED_STRIDE, image_seeds
from igam_tf.attacks.losses import LOSSES, cross_entropy, margin_targeted
from igam_tf.attacks.restarts import RunsOfAttack, no_results, worse_of
from igam_tf.data import check_labels

if typing.TYPE_CHECKING:
    from igam_tf.attacks.gradient_attack import GradientAttack

ALL = "all"


class Reached(NamedTuple):
    """What a targeted attack found.

    Attributes:
        adversarial: float32 array like the images: the worst that was found for each.
        targets: int array (targets,), the classes, in the order of `reached`.
        reached: bool array (images, targets): whether some start ended in the class;
            never so for an image of that class.
    """

    adversarial: np.ndarray
    targets: np.ndarray
    reached: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class TargetedPGD(RunsOfAttack):
    """PGD towards each of several classes; `igam_tf.attacks.pgd(targets=...)` makes it.

    It ascends minus the cross entropy of the target, or for "cw_margin" the lead of the
    target over the true class. An image is not attacked towards its own class. Of all
    targets and starts each image's worst case is kept, as `Restarts` keeps it.

    Args:
        attack: the PGD whose numbers these runs have.
        targets: tuple of classes, or "all".
        num_restarts: random starts for each target, at least 1.

    Raises:
        ValueError: if an argument is outside its range.

    Source: of all classes as targets, Gowal et al. 2019, "An alternative surrogate loss
    for PGD-based adversarial testing".
    """

    attack: "GradientAttack"
    targets: tuple[int, ...] | str
    num_restarts: int = 1

    def __post_init__(self) -> None:
        checks.whole_number("num_restarts", self.num_restarts, 1)
        if self.num_restarts > 1 and not self.attack.random_start:
            raise ValueError(
                f"num_restarts is {self.num_restarts} without a random start: expected "
                "1, since all runs would be equal; pass random_start=True."
            )

    random_start = property(lambda self: self.attack.random_start)

    @property
    def structure(self) -> Hashable:
        # The classes of "all" are those of the model, and known when it is compiled.
        return ("targeted", self.attack.structure, self.targets == ALL)

    @property
    def numbers(self) -> Numbers:
        targets = () if isinstance(self.targets, str) else self.targets
        return {
            **self.attack.numbers,
            "num_restarts": np.int32(self.num_restarts),
            "targets": np.array(targets, np.int32),
        }

    def __call__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int | np.ndarray = 0,
    ) -> np.ndarray:
        """Attacks images; see `igam_tf.attacks.Attack`."""
        self._classes(model, *checks.images_and_labels(images, labels))
        return super().__call__(
            model, images, labels, training=training, first_index=first_index
        )

    def reach(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        first_index: int | np.ndarray = 0,
    ) -> Reached:
        """As the call, with what each target was reached from.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 array or tensor (batch, height, width, channels) in [0, 1].
            labels: integers (batch,).
            first_index: place of the first image in its data set, or of each.

        Returns:
            A `Reached`.

        Raises:
            ValueError: if the images, labels, targets or model do not fit.
        """
        images, labels = checks.images_and_labels(images, labels)
        targets = self._classes(model, images, labels)
        seeds = image_seeds(self.seed, first_index, len(images))

        def run(model, *tensors):
            return self._run(model, *tensors, False, True)

        key = (type(self), self.structure, "reach")
        attacked = compiled_for_any_batch(model, key, run)
        adversarial, reached = attacked(images, labels, seeds, self.numbers)
        check_result(adversarial.numpy(), self)
        return Reached(adversarial.numpy(), targets, reached.numpy())

    def run(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
    ) -> tf.Tensor:
        return self._run(model, images, labels, seed, numbers, training, False)[0]

    def run_shrinking(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
    ) -> tf.Tensor:
        return self._run(model, images, labels, seed, numbers, False, True)[0]

    def _classes(self, model, images, labels):
        """The targets as an array, checked against a model."""
        classes = num_classes(model, images)
        check_labels(labels, classes)
        if isinstance(self.targets, str):
            return np.arange(classes)
        if max(self.targets) >= classes:
            raise ValueError(
                f"targets are {self.targets}, and the model has {classes} classes: "
                f"expected numbers from 0 to {classes - 1}, or 'all'."
            )
        return np.array(self.targets)

    def _run(self, model, images, labels, seed, numbers, training, shrinks):
        """Adversarial images, and which targets they reached, (batch, targets)."""
        targets = numbers["targets"]
        if self.targets == ALL:
            targets = tf.range(tf.shape(logits_of(model, images[:1], training))[1])
        count, restarts = tf.size(targets), numbers["num_restarts"]

        def one_run(number, reached, *worst):
            place = number // restarts
            target = tf.fill(tf.shape(labels), targets[place])
            # int32 wraps around, as `restart_seed` does.
            moved = seed + tf.stack([number * SEED_STRIDE, 0])
            towards = self.attack.shrinking if shrinks else self.attack.whole
            found = towards(
                model, images, (labels, target), moved, numbers, training, self._goal
            )
            logits = logits_of(model, found, training)
            is_other = target != labels
            wrong = is_wrong(logits, labels) & is_other
            loss = tf.where(is_other, LOSSES[self.loss](logits, labels), -np.inf)
            hit = ~is_wrong(logits, target) & is_other
            column = tf.range(count)[None, :] == place
            reached |= column & hit[:, None]
            return number + 1, reached, *worse_of(worst, (found, wrong, loss))

        nothing = no_results(images, labels)
        nowhere = tf.zeros([tf.shape(labels)[0], count], tf.bool)
        shapes = [tf.TensorShape([labels.shape[0], None]), *(v.shape for v in nothing)]
        _, reached, adversarial, *_ = tf.while_loop(
            lambda number, *_: number < count * restarts,
            one_run,
            (0, nowhere, *nothing),
            shape_invariants=(tf.TensorShape([]), *shapes),
            parallel_iterations=1,
        )
        return adversarial, reached

    def _goal(self, logits, labels, target):
        if self.loss == "cross_entropy":
            return -cross_entropy(logits, target)
        return margin_targeted(logits, labels, target)

    def __repr__(self):
        inner = repr(self.attack)
        targets = f"targets={self.targets!r}, num_restarts={self.num_restarts}"
        return f"{inner[:-1]}, {targets})"


def checked_targets(targets: int | str | Sequence[int]) -> tuple[int, ...] | str:
    """The argument `targets` of `pgd` as a tuple of classes, or "all".

    Raises:
        ValueError: if it is neither, or names a class twice.
    """
    if isinstance(targets, str):
        checks.one_of("targets", targets, (ALL,))
        return targets
    classes = tuple(np.atleast_1d(np.asarray(targets)).tolist())
    for target in classes:
        checks.whole_number("targets", target, 0)
    if not classes or len(set(classes)) < len(classes):
        raise ValueError(
            f"targets are {classes}: expected at least one class, and each once."
        )
    return classes
