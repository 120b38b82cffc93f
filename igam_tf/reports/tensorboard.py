"""What a training writes for TensorBoard: its metrics, and pictures of input gradients.

Needs the extra `tensorboard`: TensorFlow 2.21 has no summaries without that package.
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf.gradients import input_gradient
from igam_tf.reports.input_gradients import scaled_for_display


def check_installed() -> None:
    """Raises unless summaries can be written.

    Raises:
        ImportError: if the package tensorboard is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "--tensorboard needs the package tensorboard, which is not installed: pip "
            "install 'igam_tf[tensorboard]', or leave the flag out."
        )


class TensorBoardLog(keras.callbacks.Callback):
    """Writes, after each epoch, what `history.csv` has, and input gradients.

        method.fit(..., callbacks=[TensorBoardLog("logs/igam", images, labels)])

    All values are those of `logs`: losses by term, cosine of the gradients, accuracy,
    and of the validation the same with "validation/" before it. The pictures show each
    image with the student's input gradient beside it, grey where it is zero.

    Args:
        folder: folder of the event files; `tensorboard --logdir` takes it, or one above
            it.
        images: float array (n, height, width, channels) in [0, 1], of 1 or 3 channels,
            or uint8 of 0 to 255; None writes no pictures.
        labels: integers (n,), their classes.

    Raises:
        ImportError: if the package tensorboard is not installed.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        images: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        check_installed()
        self.folder = pathlib.Path(folder)
        self.images, self.labels = images, labels
        self._writer: tf.summary.SummaryWriter | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default(step=epoch + 1):
            for name, value in (logs or {}).items():
                kept = name.removeprefix("val_")
                group = "training" if kept == name else "validation"
                tf.summary.scalar(f"{group}/{kept}", float(value))
            if self.images is not None:
                pictures = self._pictures()
                tf.summary.image("input gradients", pictures, max_outputs=len(pictures))
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        del logs
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _pictures(self):
        """Each image, and the student's input gradient to the right of it."""
        images = np.asarray(self.images)
        if images.dtype == np.uint8:
            images = images / 255
        images = images.astype(np.float32)
        student = getattr(self.model, "student", self.model)
        gradient = input_gradient(
            student,
            tf.constant(images),
            tf.constant(np.asarray(self.labels, np.int32)),
            of="loss",
        ).numpy()
        shown = scaled_for_display(np.nan_to_num(gradient))
        return np.concatenate([images, shown], axis=2)
