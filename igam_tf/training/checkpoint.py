"""The whole state of a training on disk, and where it goes on."""

from __future__ import annotations

import math
import os
import pathlib
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np

from igam_tf import files

if TYPE_CHECKING:
    from igam_tf.training.base import TrainingMethod

#: SHA-256 of each checkpoint.
DIGESTS = "digests.json"
_MEANS = "means_of_the_epoch"
_NAME = re.compile(r"epoch-(\d+)(?:-step-(\d+))?\.")


class Checkpoint(keras.callbacks.Callback):
    """Saves the whole training state after epochs, and restores the newest.

    Networks, both optimizers and step counters are kept; with data that depend on the
    epoch and step alone (`igam_tf.data.training_batches`), a resumed training continues
    bit for bit on the CPU.

    Args:
        folder: where `epoch-0007.weights.h5` goes, and within the eighth epoch
            `epoch-0007-step-00000120.weights.h5`; the last two are kept.
        every_steps: steps after which to save within an epoch; 0 for never.
        share: of the time, what saving epochs may take, such as 0.05: where they are
            short, some are not saved (the first and the last always are). None saves
            all.
        writes: whether this process writes, and does not only go on.

    Attributes:
        first_step: steps of the unfinished epoch that are in what `restore` loaded.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        every_steps: int = 0,
        *,
        share: float | None = None,
        writes: bool = True,
    ) -> None:
        super().__init__()
        self.share = share
        self._not_before = -math.inf
        self.writes = writes
        self.folder = pathlib.Path(folder)
        self.every_steps = every_steps
        self.first_step = 0
        self._running: list[np.ndarray] = []

    def restore(self, method: TrainingMethod) -> int:
        """Loads the newest readable checkpoint into a compiled method.

        Args:
            method: compiled `TrainingMethod` of the same networks.

        Returns:
            Number of finished epochs; 0 if there is no checkpoint. `first_step` says
            how far the next one is.

        Raises:
            ValueError: if checkpoints exist, but none of them can be read.
        """
        problems, recorded = [], self._recorded()
        self.first_step, self._running = 0, []
        for path in self._saved()[::-1]:
            try:
                self._check(path, recorded)
                method.load_weights(path)
            except (OSError, ValueError, KeyError) as error:
                problems.append(f"{path}: {error}")
                continue
            for problem in problems:
                print(f"Left out: {problem}", file=sys.stderr, flush=True)
            epochs, self.first_step = _position(path)
            if self.first_step:
                self._running = _read_means(path)
            return epochs
        if problems:
            raise ValueError(
                "No checkpoint could be read; delete the folder to start anew.\n"
                + "\n".join(problems)
            )
        return 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._epoch = epoch
        self._steps = self._kept_steps = self.first_step
        # Keras begins its means anew with each epoch that it is given.
        for variable, value in zip(_means(self.model), self._running):
            variable.assign(value)
        self.first_step, self._running = 0, []

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        del logs
        steps = self._steps + batch + 1
        last = steps == self._steps + (self.params["steps"] or 0)
        if self.every_steps and not last:
            if steps - self._kept_steps >= self.every_steps:
                self._kept_steps = steps
                self._save(f"epoch-{self._epoch:04d}-step-{steps:08d}.weights.h5")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        start = time.monotonic()
        if start < self._not_before and epoch + 1 < self.params["epochs"]:
            return
        self._save(f"epoch-{epoch + 1:04d}.weights.h5")
        if self.share is not None:
            end = time.monotonic()
            self._not_before = end + (end - start) * (1 / self.share - 1)

    def _save(self, name):
        # By all workers: reading what replicas sum up is an operation of all of them.
        within_epoch = "step" in name
        means = [v.numpy() for v in _means(self.model)] if within_epoch else []
        if not self.writes:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / name
        with files.replacing(path) as temporary:
            self.model.save_weights(temporary)
            if within_epoch:
                _write_means(temporary, means)
            # Before the file has its name, as in the run folder.
            self._record(path.name, files.digest(temporary))
        for old in self._saved()[:-2]:
            old.unlink()

    def _saved(self):
        """Checkpoints, the newest last."""
        return sorted(self.folder.glob("epoch-*.weights.h5"), key=_position)

    def _recorded(self):
        """Digest of each checkpoint; {} of a folder of an earlier version."""
        way_out = (
            "delete the folder to start anew, or this file alone, if you trust the "
            "checkpoints beside it"
        )
        return files.read_json(self.folder / DIGESTS, way_out=way_out) or {}

    def _record(self, name, digest):
        kept = {n: d for n, d in self._recorded().items() if (self.folder / n).exists()}
        files.write_json(self.folder / DIGESTS, {**kept, name: digest})

    def _check(self, path, recorded):
        """Raises ValueError if a checkpoint is not the one that was written."""
        if not recorded:
            return
        if path.name not in recorded:
            raise ValueError("it was not written under this name; delete it")
        if files.digest(path) != recorded[path.name]:
            raise ValueError("its SHA-256 is not the recorded one; delete it")


class StudentCheckpoint(keras.callbacks.ModelCheckpoint):
    """Saves the student alone: as a model, or with `save_weights_only` its weights.

    `ModelCheckpoint(save_weights_only=True)` keeps the whole training, with optimizers
    and discriminator, to go on with; this keeps what is used afterwards.

    Args:
        filepath: "student.keras", or "student.weights.h5" with `save_weights_only`.
        **kwargs: those of `keras.callbacks.ModelCheckpoint`, such as
            `monitor="val_accuracy"` and `save_best_only`.

    Raises:
        TypeError: when `fit` begins, if what is trained has no student.
    """

    def set_model(self, model: TrainingMethod) -> None:
        if not hasattr(model, "student"):
            raise TypeError(
                f"StudentCheckpoint: {type(model).__name__} has no student; expected "
                "a method of igam_tf.training. Use keras.callbacks.ModelCheckpoint."
            )
        super().set_model(model.student)


def _position(path):
    """(finished epochs, steps of the next one) of a checkpoint's name."""
    found = _NAME.match(path.name)
    return (int(found[1]), int(found[2] or 0)) if found else (-1, 0)


def _means(method):
    return [variable for metric in method.metrics for variable in metric.variables]


def _write_means(path, means):
    """Adds what the metrics have gathered in this epoch, which are no weights."""
    with h5py.File(path, "a") as file:
        for number, mean in enumerate(means):
            file[f"{_MEANS}/{number}"] = mean


def _read_means(path):
    with h5py.File(path, "r") as file:
        group = file.get(_MEANS, {})
        return [group[str(number)][()] for number in range(len(group))]
