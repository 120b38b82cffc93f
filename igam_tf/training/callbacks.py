"""Callbacks of long trainings: history, divergence, time left."""

from __future__ import annotations

import csv
import math
import os
import pathlib
import re
import sys
import time
from typing import Any, TextIO

import keras

from igam_tf import files


class TrainingDivergedError(ArithmeticError):
    """The loss became NaN or infinite."""


class History(keras.callbacks.Callback):
    """Writes one row of metrics an epoch to a CSV file, also over resumed runs.

    Args:
        path: the file; rows of epochs that are trained again are replaced.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        super().__init__()
        self.path = pathlib.Path(path)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._epoch_start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        seconds = time.monotonic() - self._epoch_start
        metrics = {_column(name): value for name, value in (logs or {}).items()}
        row = {"epoch": epoch + 1, "seconds": round(seconds, 3), **metrics}
        rows = [r for r in self.rows() if int(r["epoch"]) <= epoch] + [row]
        names = list(dict.fromkeys(name for r in rows for name in r))
        with files.replacing(self.path) as temporary:
            with open(temporary, "w", newline="") as file:
                writer = csv.DictWriter(file, names)
                writer.writeheader()
                writer.writerows(rows)

    def rows(self) -> list[dict[str, str]]:
        """The rows so far, as dicts of strings.

        Raises:
            ValueError: if the file is damaged.
        """
        if not self.path.exists():
            return []
        try:
            with open(self.path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file, strict=True))
            for row in rows:
                int(row["epoch"]), float(row["seconds"])
                if None in row or None in row.values():
                    raise ValueError("a row has more or fewer columns than the first")
        except (csv.Error, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{self.path} is damaged ({type(error).__name__}: {error}): delete it; "
                "it only tells how the training went, and begins anew."
            ) from error
        return [{_column(name): v for name, v in row.items()} for row in rows]


def _column(name):
    """Name of a column: "test_accuracy" for Keras' "val_accuracy".

    What `run.py` validates on are test images, on which nothing is chosen. And
    "grad_norm" for what earlier versions wrote as "gradient_norm".
    """
    return "grad_norm" if name == "gradient_norm" else re.sub("^val_", "test_", name)


class StopOnDivergence(keras.callbacks.Callback):
    """Raises as soon as the loss is not finite; the checkpoints before it stay.

    Raises:
        TrainingDivergedError: with the epoch and the step.
    """

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # The norm tells of an update that made the weights NaN, before they are saved.
        values = {n: float((logs or {}).get(n, 0.0)) for n in ("loss", "grad_norm")}
        bad = [f"{n} became {v}" for n, v in values.items() if not math.isfinite(v)]
        if bad:
            raise TrainingDivergedError(
                f"The {' and '.join(bad)} in epoch {self._epoch + 1}, step {batch + 1} "
                "of the epoch (optimizer step "
                f"{int(self.model.optimizer.iterations)}). The last checkpoint "
                "is kept. Lower the learning rate or the weights of the "
                "matching terms, and train again in another run folder."
            )


class Progress(keras.callbacks.Callback):
    """One line for the whole training: epoch, metrics, time left.

    On a terminal the line is rewritten in place, a few times a second; in a log file a
    line is written at most every `log_seconds`. The time left is told from the second
    step on: the first one compiles.

    Args:
        label: what is being trained.
        log_seconds: seconds between two lines of a log file.
        epochs: number of all epochs, where `fit` is given a part of them.
    """

    def __init__(
        self,
        label: str,
        *,
        log_seconds: float = 15.0,
        stream: TextIO | None = None,
        epochs: int | None = None,
    ) -> None:
        super().__init__()
        self.epochs = epochs
        self.label = label
        self.log_seconds = log_seconds
        self.stream = stream or sys.stdout

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._start = self._last = time.monotonic()
        self._epochs = self.epochs or self.params["epochs"]
        self._compiled: tuple[float, float] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        del logs
        self._epoch = epoch

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        interval = 0.2 if self.stream.isatty() else self.log_seconds
        now = time.monotonic()
        done = self._epoch + (batch + 1) / (self.params["steps"] or batch + 1)
        if self._compiled is None:
            self._compiled = now, done
        if now - self._last >= interval:
            self._write(done, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch + 1 == self._epochs:
            self._write(epoch + 1, logs or {}, last=True)

    def _write(self, epochs_done, logs, *, last=False):
        self._last = time.monotonic()
        when = f"{_minutes(self._last - self._start)} taken"
        if not last:
            start, at_start = self._compiled or (self._last, epochs_done)
            if epochs_done > at_start:
                pace = (self._last - start) / (epochs_done - at_start)
                when = f"{_minutes(pace * (self._epochs - epochs_done))} left"
        shown = [
            f"{_column(name)} {100 * float(logs[name]):.1f} %"
            for name in ("accuracy", "val_accuracy")
            if name in logs
        ]
        line = "  ".join(
            [
                f"{self.label}: epoch {math.ceil(epochs_done)}/{self._epochs}",
                f"loss {float(logs.get('loss', 0)):.3f}",
                *shown,
                when,
            ]
        )
        end = "\n" if last or not self.stream.isatty() else ""
        start = "\r\033[K" if self.stream.isatty() else ""
        print(start + line, end=end, file=self.stream, flush=True)


def _minutes(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    )
