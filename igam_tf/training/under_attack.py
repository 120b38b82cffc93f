"""The student's accuracy under an attack, epoch by epoch."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from igam_tf import models, pixels
from igam_tf.attacks import Attack
from igam_tf.attacks.engine.compilation import compiled_logits

_BATCH = 250


class UnderAttack(keras.callbacks.Callback):
    """Puts `val_NAME_accuracy` into the logs of each epoch.

    It shows when a training overfits to the attack that it is trained on. Tried are the
    weights of the epoch's end, and not their average, and as the table has them: in
    float32, whatever they are trained in (`igam_tf.models.in_float32`). Callbacks after
    this one see the number.

    Args:
        name: of the attack, such as "pgd10".
        attack: `igam_tf.attacks.Attack`.
        images: array (n, height, width, channels), uint8 or float32 in [0, 1].
        labels: integer array (n,).
    """

    def __init__(
        self, name: str, attack: Attack, images: np.ndarray, labels: np.ndarray
    ) -> None:
        super().__init__()
        self.name, self.attack = name, attack
        self.images, self.labels = images, labels
        self._tried: keras.Model | None = None

    def _student(self):
        """The student, or a copy in float32: one for all epochs, compiled once."""
        student = self.model.student
        if self._tried is None:
            self._tried = models.in_float32(student)
        elif self._tried is not student:
            models.set_weights(self._tried, student.get_weights())
        return self._tried

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch
        student, right = self._student(), 0
        for start in range(0, len(self.labels), _BATCH):
            images = pixels.as_float(self.images[start : start + _BATCH])
            labels = self.labels[start : start + _BATCH]
            clean = compiled_logits(student, images).argmax(axis=1) == labels
            found = self.attack(student, images, labels, first_index=start)
            attacked = compiled_logits(student, found).argmax(axis=1) == labels
            right += int((clean & attacked).sum())
        if logs is not None:
            logs[f"val_{self.name}_accuracy"] = right / len(self.labels)
