"""An attack that `igam_tf.export.export_attack` wrote, run by JAX."""

from __future__ import annotations

import os
import pathlib
import typing
from collections.abc import Mapping

import numpy as np

from igam_tf.export.runner import folder, state
from igam_tf.export.runner.checks import as_batch, check_data
from igam_tf.export.runner.program import Program

if typing.TYPE_CHECKING:
    import jax


class ExportedAttack:
    """An attack on a classifier; `igam_tf.export.runner.load` makes it.

    Attributes:
        manifest: dict, see `igam_tf.export.runner.folder`.
        program: its `Program`.
        state: weights of the classifier on the device, or None before the first use.
    """

    def __init__(self, path: str | os.PathLike, manifest: dict):
        self.path = pathlib.Path(path)
        self.manifest = manifest
        entry = manifest["programs"][folder.ATTACK]
        self.program = Program(self.path, folder.ATTACK, entry)
        self.state: typing.Any = None

    def __repr__(self) -> str:
        return self.manifest["attack"]

    @property
    def batch_size(self) -> int:
        """Number of images attacked at once."""
        return self.manifest["batch_size"]

    def load_state(self, path: str | os.PathLike) -> dict[str, jax.Array]:
        """Loads the weights to attack from a state file, also one of a training step.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is of other networks.
        """
        self.state = state.load(path, self.manifest)
        return self.state

    def run(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        first_index: int = 0,
        weights: Mapping[str, jax.Array] | None = None,
    ) -> dict[str, jax.Array]:
        """Attacks one batch.

        Args:
            images: array (batch_size, height, width, channels): uint8, or float32 in
                [0, 1], as exported (uint8 may stand for float32).
            labels: integers (batch_size,).
            first_index: place of the first image in its data set, on which random
                starts depend.
            weights: arrays by variable name, such as the state of an `ExportedStep`;
                by default the exported ones, or those of `load_state`.

        Returns:
            dict of "adversarial" (images, float32), "clean_logits" and "logits" (before
            and after), arrays on the device.

        Raises:
            ValueError: if the batch is not of the exported shape.
        """
        images, labels = as_batch(images, labels, self.manifest)
        if weights is None:
            weights = self.state or self.load_state(self.path)
        # As `igam_tf.attacks.geometry.image_seeds`, which is TensorFlow's side.
        places = np.arange(first_index, first_index + self.batch_size, dtype=np.int32)
        seeds = np.stack([np.full_like(places, self.manifest["seed"]), places], axis=1)
        values = {"images": images, "labels": labels, "seeds": seeds}
        return self.program(values, dict(weights))

    def accuracy(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        weights: Mapping[str, jax.Array] | None = None,
    ) -> dict[str, float]:
        """Accuracy before and after the attack, over any number of images.

        Args:
            images, labels: arrays of a whole data set.
            weights: as in `run`.

        Returns:
            dict of "clean" and "attacked": fractions in [0, 1].

        Raises:
            ValueError: if images or labels do not fit the export.
        """
        check_data(images, labels, self.manifest)
        clean, attacked = 0, 0
        for start in range(0, len(labels), self.batch_size):
            count = min(self.batch_size, len(labels) - start)
            # The last batch is filled up with images that are not counted.
            places = np.arange(start, start + self.batch_size) % len(labels)
            result = self.run(
                images[places], labels[places], first_index=start, weights=weights
            )
            truth = labels[start : start + count]
            clean += _correct(result["clean_logits"], truth)
            attacked += _correct(result["logits"], truth)
        return {"clean": clean / len(labels), "attacked": attacked / len(labels)}


def _correct(logits, labels):
    # NaN counts as wrong: argmax would take it for the largest.
    logits = np.asarray(logits)[: len(labels)]
    right = (logits.argmax(axis=1) == labels) & np.isfinite(logits).all(axis=1)
    return int(right.sum())
