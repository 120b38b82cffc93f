"""Images, their labels, and the model that classifies them: looked at once, clean."""

from __future__ import annotations

import typing

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.engine.batching import Batch, Numbers, Tensors, padded, parts
from igam_tf.attacks.engine.compilation import CompiledModel
from igam_tf.attacks.engine.state import AttackState
from igam_tf.attacks.geometry import image_seeds, restart_seed
from igam_tf.data import check_labels

if typing.TYPE_CHECKING:
    from igam_tf.attacks.stepwise import Run, StepwiseAttack

DEFAULT_BATCH_SIZE = 128
# An image that a model with random outputs misclassifies by chance does not count.
_LOOKS = 3


class ClassifiedImages:
    """One model and one set of images, on which stepwise attacks are run in batches.

    Args:
        model: Keras model from images to logits (batch, classes).
        images: float32 array or tensor (images, height, width, channels) in [0, 1].
        labels: integers (images,).
        training: bool, the mode of the model. In training mode all images are one
            batch, from the first step to the last.
        first_index: place of the first image in its data set.
        batch_size: largest batch.

    Attributes:
        images, labels: arrays, checked.
        num_classes: number of classes of the model.
        is_correct: bool array (images,), right when clean; after `look`.
        num_looked_at: number of images in the batches of `look`, padding included.

    Raises:
        ValueError: if the images, labels or model do not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        self.images, self.labels = checks.images_and_labels(images, labels)
        self.num_classes = num_classes(model, self.images)
        check_labels(self.labels, self.num_classes)
        self.training, self.first_index = training, first_index
        self._batch_size = batch_size
        self._model = CompiledModel(model, training)
        self.num_looked_at = 0

    def look(self, num_targets: int) -> AttackState:
        """Looks at the clean images, and ranks each one's classes by its logits.

        Args:
            num_targets: the largest number of target classes of the attacks to come.

        Returns:
            The `AttackState` before the first attack.
        """
        results = []
        for rows in self.batches(np.arange(len(self.images))):
            wanted = self.filled(rows)
            images, labels = self.images[wanted], self.labels[wanted]
            result = self._model.clean(images, labels, 1 + num_targets)
            results.append([array[: len(rows)] for array in result])
            self.num_looked_at += len(wanted)
        self._ranked, is_wrong, loss = map(np.concatenate, zip(*results, strict=True))
        self.is_correct = ~is_wrong
        for rows in self.batches(np.flatnonzero(is_wrong)):
            wanted = self.filled(rows)
            images, labels = self.images[wanted], self.labels[wanted]
            again, _ = self._model.judge(images, labels, _LOOKS - 1)
            is_wrong[rows] &= again[: len(rows)]
        return AttackState.start(self.images, is_wrong, loss)

    def batches(self, rows: np.ndarray) -> list[np.ndarray]:
        """Row numbers cut into batches; in training mode one batch of all images."""
        if self.training:
            return [np.arange(len(self.images))] if len(rows) else []
        return parts(rows, self._batch_size)

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """Row numbers padded, but not in training mode, where padding would count."""
        return rows if self.training else padded(rows)

    def begin(
        self,
        attack: StepwiseAttack,
        run: Run,
        rows: np.ndarray,
        numbers: Numbers,
    ) -> Tensors:
        """The state before the first step of a run, of some rows."""
        rows = self.filled(rows)
        seed = restart_seed(attack.seed, run.number)
        seeds = image_seeds(seed, self.first_index, len(self.images))
        start = {
            "images": self.images[rows],
            "labels": self.labels[rows],
            "targets": self._ranked[rows, run.rank],
            "seeds": seeds[rows],
        }
        return self._model.begin(attack, start, numbers)

    def advance(
        self,
        attack: StepwiseAttack,
        batch: Batch,
        stop: int,
        numbers: Numbers,
    ) -> None:
        """Brings a batch to the step `stop`; a ValueError if it meets NaN."""
        batch.state, is_nan = self._model.advance(
            attack, batch.state, batch.step, stop, numbers
        )
        batch.step = stop
        _check_numbers(attack, is_nan[: len(batch.rows)])

    def found(
        self, attack: StepwiseAttack, batch: Batch, places: np.ndarray, *, again: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The worst images found at some places of a batch, and what they are worth.

        Args:
            attack: the attack that found them.
            batch: batch in the middle of a run.
            places: integer array (n,), places in the batch.
            again: whether an image has to be misclassified at several looks.

        Returns:
            Arrays (n, ...): the images, whether they are misclassified, their loss.
        """
        wanted = self.filled(places)
        images = tf.gather(batch.state["found"], wanted)
        labels = tf.gather(batch.state["labels"], wanted)
        judged = self._model.judge(images, labels, _LOOKS if again else 1)
        count = len(places)
        images, is_wrong, loss = (x[:count] for x in (images.numpy(), *judged))
        _check_numbers(attack, np.isnan(loss))
        return images, is_wrong, loss

    def whole_run(
        self,
        attack: StepwiseAttack,
        run: Run,
        rows: np.ndarray,
        **numbers: np.ndarray | np.generic | np.generic,
    ) -> dict[str, np.ndarray]:
        """The last state of a run in which nothing is dropped, as arrays.

        Keyword arguments take the place of the attack's own `numbers`.
        """
        numbers = {**attack.numbers_of(run), **numbers}
        batch = Batch(rows, self.begin(attack, run, rows, numbers))
        for stop in attack.chunks():
            self.advance(attack, batch, stop, numbers)
        return {key: value.numpy()[: len(rows)] for key, value in batch.state.items()}


def _check_numbers(attack, is_nan):
    if is_nan.any():
        raise ValueError(
            f"{attack} met NaN at {is_nan.sum()} of {len(is_nan)} images: the model's "
            "logits or input gradient are NaN there (a square root or a division at "
            "zero?), which would pass for robustness; make the model differentiable at "
            "its inputs."
        )
