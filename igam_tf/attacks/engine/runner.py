"""Attacks one after the other on the images that are left, from Python.

A runner goes through the runs of its attacks (one for each target class and random
start). A run attacks the images that are robust at its beginning, in batches; a batch
goes through chunks of compiled steps. After a chunk the misclassified images are
recorded and leave the batch, which shrinks. No image's result depends on its batch, so
that batches can be cut anywhere.
"""

from __future__ import annotations

import os
import typing
import warnings
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from igam_tf import interrupts
from igam_tf.attacks.engine.batching import Batch, padded, take
from igam_tf.attacks.engine.checkpoint import Checkpoint
from igam_tf.attacks.engine.cost import CostCounter, Passes, Progress
from igam_tf.attacks.engine.images import DEFAULT_BATCH_SIZE, ClassifiedImages
from igam_tf.attacks.engine.state import AttackState
from igam_tf.attacks.identity import model_digest

if typing.TYPE_CHECKING:
    from igam_tf.attacks.stepwise import StepwiseAttack

# Of the states of all attacks: what an earlier version has kept begins anew.
_STATE_VERSION = 2


class Outcome(NamedTuple):
    """What attacks found, and what it cost.

    Attributes:
        adversarial: float32 array like the images: the worst that was found for each.
        robust: dict from "clean" and each attack to a bool array (images,): what is
            classified correctly under it and all before it.
        seconds: dict from "clean" and each attack to seconds, compilation included.
        forward_passes: dict from the same to forward passes of images, with the
            padding of batches.
        backward_passes: dict from the same to backward passes.
        notes: sentences about what a small number of classes changed.
    """

    adversarial: np.ndarray
    robust: dict[str, np.ndarray]
    seconds: dict[str, float]
    forward_passes: dict[str, int]
    backward_passes: dict[str, int]
    notes: list[str]

    @property
    def standing(self) -> dict[str, np.ndarray]:
        """Deprecated: the old name of `robust`."""
        warnings.warn(
            "Outcome.standing is now Outcome.robust; the old name will go.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.robust


class AttackRunner:
    """Runs stepwise attacks against one model, on one set of images.

    Args:
        model: Keras model from images to logits (batch, classes).
        attacks: dict from name to `StepwiseAttack`.
        images: float32 array or tensor (images, height, width, channels) in [0, 1].
        labels: integers (images,).
        training: bool, the mode of the model. In training mode all images are one
            batch, from the first step to the last.
        first_index: place of the first image in its data set.
        batch_size: largest batch.
        checkpoint_dir: folder for the state, or None.
        callback: called with a `Progress` after every chunk, or None.

    Raises:
        ValueError: if the images, labels or model do not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        attacks: dict[str, StepwiseAttack],
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
        batch_size: int = DEFAULT_BATCH_SIZE,
        checkpoint_dir: str | os.PathLike | None = None,
        callback: Callable[[Progress], object] | None = None,
    ) -> None:
        self._images = ClassifiedImages(
            model,
            images,
            labels,
            training=training,
            first_index=first_index,
            batch_size=batch_size,
        )
        classes = self._images.num_classes
        self._notes = [n for attack in attacks.values() for n in attack.notes(classes)]
        self._attacks = {
            name: attack.for_classes(classes) for name, attack in attacks.items()
        }
        self._drops = not training
        self._callback, self._cost = callback, CostCounter(attacks)
        identity = [_STATE_VERSION, list(self._attacks.values()), training, first_index]
        if checkpoint_dir is not None:
            arrays = self._images.images, self._images.labels
            identity += [*arrays, model_digest(model)]
        self._checkpoint = Checkpoint(checkpoint_dir, identity)
        targets = max(attack.num_targets for attack in self._attacks.values())
        self._state = self._images.look(targets)
        self._cost.add("clean", self._images.num_looked_at, Passes(1, 0))
        self._robust = {"clean": self._images.is_correct}

    def run(self) -> Outcome:
        """Runs all attacks, from where the checkpoint left them.

        Raises:
            KeyboardInterrupt: after a chunk of steps, with the state saved.
        """
        with interrupts.deferred():
            return self._run()

    def _run(self):
        saved, reached = self._restore()
        for stage, (name, attack) in enumerate(self._attacks.items()):
            for run in attack.runs():
                place = (stage, run.number)
                if place > reached:
                    self._state.pending = self._state.robust.copy()
                if place >= reached:
                    self._one_run(name, run, place, saved if place == reached else {})
            if stage >= reached[0]:
                self._robust[name] = self._robust["clean"] & self._state.robust
        self._checkpoint.save(self._arrays((len(self._attacks), 0)))
        forward, backward, seconds = map(self._cost.column, range(3))
        return Outcome(
            adversarial=self._state.adversarial,
            robust=self._robust,
            seconds=seconds,
            forward_passes={name: int(count) for name, count in forward.items()},
            backward_passes={name: int(count) for name, count in backward.items()},
            notes=self._notes,
        )

    def _one_run(self, name, run, place, saved):
        if "rows" in saved:
            self._attack(name, run, Batch.of_arrays(saved), place)
        for rows in self._images.batches(np.flatnonzero(self._state.pending)):
            self._attack(name, run, Batch(rows), place)

    def _attack(self, name, run, batch, place):
        """Attacks one batch to the end, or to the last image that is robust."""
        attack = self._attacks[name]
        numbers, chunks = attack.numbers_of(run), attack.chunks()
        if not batch.state:
            batch.state = self._images.begin(attack, run, batch.rows, numbers)
            self._cost.add(name, len(batch.state["labels"]), attack.begin_passes)
        for stop in (chunk for chunk in chunks if chunk > batch.step):
            num_steps = stop - batch.step
            self._images.advance(attack, batch, stop, numbers)
            self._cost.add(name, len(batch.state["labels"]), attack.passes, num_steps)
            if stop == chunks[-1]:
                self._finish(attack, batch)
            elif attack.drops_misclassified and self._drops:
                self._drop(attack, batch)
            self._tell(name, run, batch)
            if not len(batch.rows):
                return
            self._save(place, batch)

    def _finish(self, attack, batch):
        """Records what was found for all images that are left in a batch."""
        places = np.arange(len(batch.rows))
        found = self._images.found(attack, batch, places, again=False)
        self._state.record(batch.rows, *found)
        batch.rows = batch.rows[:0]

    def _drop(self, attack, batch):
        """Takes misclassified images out of a batch, once they are seen to be that.

        What is right again when looked at a second time (a model with random outputs,
        logits that are equal but for the last digit) goes on.
        """
        wrong = batch.state["misclassified"].numpy()[: len(batch.rows)]
        places = np.flatnonzero(wrong)
        if not len(places):
            return
        found = self._images.found(attack, batch, places, again=True)
        _, is_wrong, _ = found
        fallen = places[is_wrong]
        self._state.record(batch.rows[fallen], *(array[is_wrong] for array in found))
        batch.state["misclassified"] = tf.zeros_like(batch.state["misclassified"])
        stays = np.ones(len(batch.rows), bool)
        stays[fallen] = False
        if stays.any() and not stays.all():
            batch.state = take(batch.state, padded(np.flatnonzero(stays)))
        batch.rows = batch.rows[stays]

    def _save(self, place, batch):
        """Saves the state now and then, and at once if the user interrupts."""
        if interrupts.check():
            self._checkpoint.save(self._arrays(place, batch))
            raise KeyboardInterrupt
        self._checkpoint.save_if_due(lambda: self._arrays(place, batch))

    def _tell(self, name, run, batch):
        if self._callback is None:
            return
        attack, num_robust = self._attacks[name], int(self._state.robust.sum())
        runs, num_steps = len(attack.runs()), attack.chunks()[-1]
        active = len(batch.rows)
        waiting = int(self._state.pending.sum()) - active
        unfinished = active * (1 - batch.step / num_steps)
        # Passes of an image in a run of this attack, and in all that is after it.
        in_run = sum(attack.image_passes()) / runs
        after = (runs - run.number - 1) * in_run
        names = list(self._attacks)
        for other in names[names.index(name) + 1 :]:
            after += sum(self._attacks[other].image_passes())
        expected = num_robust
        if name == names[0] and not run.number:
            begun = int(self._robust["clean"].sum()) - waiting
            waiting_robust = waiting * (num_robust - waiting) / max(begun, 1)
            expected = num_robust - waiting + waiting_robust
        progress = self._cost.progress(
            (waiting + unfinished) * in_run + num_robust * after,
            (waiting + unfinished) * in_run + expected * after,
            attack=name,
            run=run.number + 1,
            num_runs=runs,
            step=batch.step,
            num_steps=num_steps,
            num_robust=num_robust,
            num_images=len(self._images.images),
        )
        self._callback(progress)

    def _restore(self) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
        """What the checkpoint has, and the place (stage, run) that it reached."""
        saved = self._checkpoint.load()
        if saved is None:
            return {}, (-1, 0)
        self._state = AttackState.of_arrays(saved)
        self._cost.restore(saved["counts"])
        for stage, name in enumerate(self._attacks):
            if f"standing_{stage}" in saved:
                self._robust[name] = saved[f"standing_{stage}"]
        return saved, tuple(saved["place"].tolist())

    def _arrays(self, place, batch=None):
        """Dict of arrays: all that is needed to go on from here."""
        robust = {
            f"standing_{stage}": self._robust[name]
            for stage, name in enumerate(self._attacks)
            if name in self._robust
        }
        counts = {"place": np.array(place), "counts": self._cost.counts}
        inside = batch.arrays() if batch else {}
        return {**self._state.arrays(), **counts, **robust, **inside}
