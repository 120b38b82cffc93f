"""Attacks that run step by step from Python, on the images that are left.

FGSM and PGD are one compiled loop over a whole batch. The attacks of AutoAttack cost
thousands of passes an image, nearly all of them for the few images that resist: they
run as chunks of compiled steps, between which the engine drops what is misclassified.
"""

import abc
import dataclasses
import itertools
from collections.abc import Hashable
from typing import NamedTuple, Self

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks.attack import Attack
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.cost import Passes
from igam_tf.attacks.engine.runner import AttackRunner, Outcome


class Run(NamedTuple):
    """One run of a stepwise attack over the images that are left.

    Attributes:
        number: place among the attack's runs; another number, another random start.
        rank: rank of the target class among the clean logits, 1 for the second largest;
            0 if there is no target.
        restart: 0 for the first run with this target.
    """

    number: int
    rank: int
    restart: int


class StepwiseAttack(Attack):
    """An attack whose state can be cut and continued between two steps.

    The state is a dict of tensors whose first axis is the image. It has at least
    "images", "labels", "adversarial" (the point that the attack is at), "found" (the
    worst point so far) and "misclassified" (whether "found" is). One image's state
    never depends on another's.

    Attributes:
        name: text, how its results are labelled.
        num_targets: number of target classes, 0 if not targeted.
        num_restarts: number of random starts (for each target).
        drops_misclassified: whether a misclassified image needs no more steps.
        begin_passes: forward and backward passes of the beginning.
    """

    name: str
    num_targets: int = 0
    num_restarts: int = 1
    drops_misclassified: bool = True
    begin_passes: Passes = Passes(0, 0)

    @property
    @abc.abstractmethod
    def structure(self) -> Hashable:
        """Everything that the compiled steps depend on."""

    @property
    @abc.abstractmethod
    def numbers(self) -> Numbers:
        """NumPy numbers and arrays by name, which the steps get as tensors."""

    @property
    @abc.abstractmethod
    def passes(self) -> Passes:
        """Forward and backward passes of one step."""

    @abc.abstractmethod
    def chunks(self) -> list[int]:
        """Steps after which misclassified images are dropped; the last ends the run."""

    @abc.abstractmethod
    def begin(
        self, model: keras.Model, start: Tensors, numbers: Tensors, training: bool
    ) -> Tensors:
        """The state before the first step.

        Args:
            model: Keras model.
            start: dict of tensors "images", "labels", "targets" (a class for each
                image) and "seeds" (batch, 2).
            numbers: `numbers`, and "restart", as tensors.
            training: bool, the mode of the model.

        Returns:
            The state.
        """

    @abc.abstractmethod
    def advance(
        self,
        model: keras.Model,
        state: Tensors,
        step: tf.Tensor,
        draws: tuple,
        numbers: Tensors,
        training: bool,
    ) -> Tensors:
        """The state one step later. `draws`: what `draws` returned for this chunk."""

    def draws(self, state: Tensors, start: tf.Tensor, stop: tf.Tensor) -> tuple:
        """Random numbers for the steps of a chunk, if the attack needs any."""
        del state, start, stop
        return ()

    def for_classes(self, num_classes: int) -> Self:
        """This attack as it is run on a model with so many classes."""
        if self.num_targets < num_classes:
            return self
        targets = num_classes - 1
        return dataclasses.replace(self, num_targets=targets)  # type: ignore[type-var]

    def notes(self, num_classes: int) -> list[str]:
        """Sentences about what a small number of classes changes."""
        del num_classes
        return []

    def runs(self) -> list[Run]:
        """The runs of the attack, in order: for each target, all restarts."""
        ranks = range(1, self.num_targets + 1) if self.num_targets else [0]
        pairs = itertools.product(ranks, range(self.num_restarts))
        return [Run(number, *pair) for number, pair in enumerate(pairs)]

    def numbers_of(self, run: Run) -> Numbers:
        """The `numbers` of one run: with "restart", the number of its restart."""
        return {**self.numbers, "restart": np.int32(run.restart)}

    def image_passes(self) -> Passes:
        """Passes that an image costs which is robust to the end of all runs."""
        steps, runs = self.chunks()[-1], len(self.runs())
        return Passes(
            *(
                runs * (a + steps * b)
                for a, b in zip(self.begin_passes, self.passes, strict=True)
            )
        )

    def __call__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
    ) -> np.ndarray:
        """Attacks images; see `igam_tf.attacks.Attack`.

        With `training=True` the images are one batch to the end, because the result of
        each depends on its neighbours: nothing is dropped.
        """
        outcome = self.outcome(
            model, images, labels, training=training, first_index=first_index
        )
        return outcome.adversarial

    def outcome(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
    ) -> Outcome:
        """As the call, with what it cost: an `igam_tf.attacks.autoattack.Outcome`."""
        runner = AttackRunner(
            model,
            {self.name: self},
            images,
            labels,
            training=training,
            first_index=first_index,
        )
        return runner.run()
