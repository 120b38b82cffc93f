"""Counting, batch after batch, the images that stand under each attack."""

import collections
import contextlib
import time

import numpy as np

from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.compilation import compiled_logits
from igam_tf.data import check_labels
from igam_tf.evaluation.batches import padded
from igam_tf.evaluation.intervals import wilson_interval
from igam_tf.evaluation.masking import gradient_warnings


class Counter:
    """Attacks batches and counts; nothing of a batch is kept.

    Args:
        model: Keras model from images to logits.
        attacks: dict from name to attack (None for clean images).
        training: bool, the mode in which the model is attacked and classifies.

    Attributes:
        num_examples: number of images seen.
        warnings: sentences about the gradients at the first batch.
    """

    def __init__(self, model, attacks, *, training):
        self.model, self.attacks, self.training = model, attacks, training
        self.num_examples = 0
        self.warnings = []
        self._num_correct = collections.Counter()
        self._seconds = collections.Counter()

    def add(self, images, labels, batch_size):
        """Counts one batch, filled up to `batch_size` so that nothing is retraced."""
        num_real = len(images)
        check_labels(labels, num_classes(self.model, images))
        images, labels = padded(images, labels, batch_size)
        is_real = np.arange(batch_size) < num_real
        with self._timed("clean"):
            stands = is_real & self._is_correct(images, labels, "clean images")
        if self.num_examples == 0 and any(self.attacks.values()):
            self.warnings += gradient_warnings(
                self.model, images, labels, stands, self.training
            )
        for name, attack in self.attacks.items():
            count = stands.sum()
            if attack is not None:
                with self._timed(name):
                    count = (stands & self._withstands(name, images, labels)).sum()
            self._num_correct[name] += int(count)
        self.num_examples += num_real

    def accuracies(self):
        """Dict from attack to the fraction of images that stand so far."""
        return {
            name: self._num_correct[name] / self.num_examples for name in self.attacks
        }

    def entries(self):
        """Dict from attack to its result, ready for JSON."""
        entries = {}
        for name, attack in self.attacks.items():
            num_correct = self._num_correct[name]
            entries[name] = {
                "accuracy": num_correct / self.num_examples,
                "num_correct": num_correct,
                "num_examples": self.num_examples,
                "interval_95": list(wilson_interval(num_correct, self.num_examples)),
                "seconds": round(self._seconds[name], 3),
                "attack": "clean" if attack is None else repr(attack),
            }
        return entries

    def _withstands(self, name, images, labels):
        adversarial = self.attacks[name](
            self.model,
            images,
            labels,
            training=self.training,
            first_index=self.num_examples,
        )
        return self._is_correct(adversarial, labels, f"the images of {name}")

    def _is_correct(self, images, labels, what):
        logits = compiled_logits(self.model, images, self.training)
        if np.isnan(logits).any():
            raise ValueError(
                f"the model returns NaN for {what} in the batch that starts at image "
                f"{self.num_examples}: expected numbers, and no accuracy can be "
                "reported; look at how its weights were trained or loaded."
            )
        return logits.argmax(axis=1) == labels

    @contextlib.contextmanager
    def _timed(self, name):
        start = time.perf_counter()
        yield
        self._seconds[name] += time.perf_counter() - start
