"""Keeps track of a `fit`: which batch it is at, and whether the loss is finite."""

import math
from collections.abc import Callable
from typing import Any

import keras

from igam_tf.training.callbacks import StopOnDivergence, TrainingDivergedError


class Watch(keras.callbacks.Callback):
    """Knows which batch a `fit` is at, and stops it at a loss that is not finite.

    A step is checked when the next one has been started, so that the accelerator never
    waits for the host, as it does with `StopOnDivergence`, which asks Keras for
    numbers.

    Args:
        stops: whether to raise.

    Attributes:
        each_epoch: what is called after each epoch, before other callbacks, or None.

    Raises:
        TrainingDivergedError: with the epoch and the batch.
    """

    def __init__(self, *, stops: bool = True) -> None:
        super().__init__()
        self.stops = stops
        self.each_epoch: Callable[[], None] | None = None
        self._place = (0, 0)
        self._started: tuple[str, dict[str, Any]] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._place = epoch, 0

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        del logs
        self._place = self._place[0], batch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del epoch, logs
        self.look({})
        if self.each_epoch is not None:
            self.each_epoch()

    def where(self) -> str:
        """The batch that is being trained on, as the beginning of an error."""
        epoch, batch = self._place
        return f"epoch {epoch + 1}, batch {batch + 1}: "

    def look(self, logs: dict[str, Any]) -> None:
        """Keeps what a step returned, and checks the step before.

        Args:
            logs: dict of scalar tensors, whose "loss" is a mean since the beginning of
                the epoch.
        """
        values: dict[str, Any] = {
            n: logs[n] for n in ("loss", "grad_norm") if n in logs
        }
        before, self._started = self._started, (self.where(), values)
        if before is None or not self.stops:
            return
        where, values = before
        bad = [f"{n} became {float(v)}" for n, v in values.items() if not _finite(v)]
        if bad:
            raise TrainingDivergedError(
                f"{where}the {' and '.join(bad)}, and the student is of no use from "
                "here on. Lower the learning rate or the weights of the added terms; "
                "keras.callbacks.BackupAndRestore or ModelCheckpoint keeps what was "
                "before."
            )


def with_watch(given: Any) -> tuple[Any, Watch]:
    """The callbacks of a `fit` with a `Watch` before them.

    Args:
        given: callback, list of callbacks, `keras.callbacks.CallbackList`, or None.

    Returns:
        Tuple (callbacks, `Watch`). It leaves the decision to callbacks that make it:
        `keras.callbacks.TerminateOnNaN`, `StopOnDivergence`.
    """
    deciding = (keras.callbacks.TerminateOnNaN, StopOnDivergence)
    whole = isinstance(given, keras.callbacks.CallbackList)
    callbacks = given.callbacks if whole else keras.tree.flatten(given or [])
    watch = Watch(stops=not any(isinstance(c, deciding) for c in callbacks))
    if not whole:
        # Before those that save: nothing that is not a number is saved.
        return [watch, *callbacks], watch
    callbacks.insert(0, watch)
    return given, watch


def _finite(value):
    return math.isfinite(float(value))
