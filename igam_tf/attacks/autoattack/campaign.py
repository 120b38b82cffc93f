"""Attacks one after the other on the images still standing, from Python.

A campaign goes through the runs of its attacks; a run attacks the images that stand at
its beginning, in batches; a batch goes through chunks of compiled steps. After a chunk
the images that are broken are recorded on the board and leave the batch, which shrinks.
No image's result depends on its batch, so that batches can be cut anywhere.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from igam_tf import interrupts
from igam_tf.attacks import checks
from igam_tf.attacks.autoattack.batching import Batch, padded, parts, take
from igam_tf.attacks.autoattack.board import Board
from igam_tf.attacks.autoattack.calls import Calls
from igam_tf.attacks.autoattack.checkpoint import Checkpoint
from igam_tf.attacks.autoattack.meter import Meter
from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.identity import model_digest
from igam_tf.attacks.initialization import image_seeds
from igam_tf.attacks.restarts import restart_seed
from igam_tf.data import check_labels

DEFAULT_BATCH_SIZE = 128
# An image that a model with random outputs misclassifies by chance is not broken.
_LOOKS = 3


class Outcome(NamedTuple):
    """What a campaign found.

    Attributes:
        adversarial: float32 array like the images: the worst that was found for each.
        standing: dict from "clean" and each attack to a bool array (images,): what
            stands after it.
        seconds: dict from "clean" and each attack to seconds, compilation included.
        forward_passes: dict from the same to forward passes of images, with the
            padding of batches.
        backward_passes: dict from the same to backward passes.
        notes: sentences about what a small number of classes changed.
    """

    adversarial: np.ndarray
    standing: dict
    seconds: dict
    forward_passes: dict
    backward_passes: dict
    notes: list


class Campaign:
    """Stepwise attacks against one model and one set of images.

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
        model,
        attacks,
        images,
        labels,
        *,
        training=False,
        first_index=0,
        batch_size=DEFAULT_BATCH_SIZE,
        checkpoint_dir=None,
        callback=None,
    ):
        self.images, self.labels = checks.images_and_labels(images, labels)
        classes = num_classes(model, self.images)
        check_labels(self.labels, classes)
        self.notes = [n for attack in attacks.values() for n in attack.notes(classes)]
        self.attacks = {
            name: attack.for_classes(classes) for name, attack in attacks.items()
        }
        self.training, self.first_index = training, first_index
        self._batch_size, self._callback = batch_size, callback
        self._calls, self._meter = Calls(model, training), Meter(attacks)
        identity = [list(self.attacks.values()), training, first_index]
        if checkpoint_dir is not None:
            identity += [self.images, self.labels, model_digest(model)]
        self._checkpoint = Checkpoint(checkpoint_dir, identity)
        self._look_at_clean_images()

    def run(self):
        """Runs all attacks, from where the checkpoint left them; an `Outcome`.

        Raises:
            KeyboardInterrupt: after a chunk of steps, with the state saved.
        """
        with interrupts.deferred():
            return self._run()

    def _run(self):
        saved, reached = self._restore()
        for stage, (name, attack) in enumerate(self.attacks.items()):
            for run in attack.runs():
                place = (stage, run.number)
                if place > reached:
                    self.board.pending = self.board.standing.copy()
                if place >= reached:
                    self._one_run(name, run, place, saved if place == reached else {})
            if stage >= reached[0]:
                self.standing[name] = self.standing["clean"] & self.board.standing
        self._checkpoint.save(self._arrays((len(self.attacks), 0)))
        forward, backward, seconds = map(self._meter.column, range(3))
        return Outcome(
            adversarial=self.board.adversarial,
            standing=self.standing,
            seconds=seconds,
            forward_passes={name: int(count) for name, count in forward.items()},
            backward_passes={name: int(count) for name, count in backward.items()},
            notes=self.notes,
        )

    def batches(self, rows):
        """Row numbers cut into batches; in training mode one batch of all images."""
        if self.training:
            return [np.arange(len(self.images))] if len(rows) else []
        return parts(rows, self._batch_size)

    def whole_run(self, attack, run, rows, **tensors):
        """The last state of a run in which nothing is dropped, as arrays.

        Keyword arguments take the place of the attack's own `tensors`.
        """
        tensors = {**_tensors(attack, run), **tensors}
        batch = Batch(rows, self._begin(attack, run, rows, tensors))
        for stop in attack.chunks():
            self._advance(attack, batch, stop, tensors)
        return {key: value.numpy()[: len(rows)] for key, value in batch.state.items()}

    def _one_run(self, name, run, place, saved):
        if "rows" in saved:
            self._attack(name, run, Batch.of_arrays(saved), place)
        for rows in self.batches(np.flatnonzero(self.board.pending)):
            self._attack(name, run, Batch(rows), place)

    def _attack(self, name, run, batch, place):
        """Attacks one batch to the end, or to the last image that stands."""
        attack = self.attacks[name]
        tensors = _tensors(attack, run)
        if batch.state is None:
            batch.state = self._begin(attack, run, batch.rows, tensors)
            self._meter.add(name, len(batch.state["labels"]), attack.begin_passes)
        drops = attack.drops_broken and not self.training
        for stop in (chunk for chunk in attack.chunks() if chunk > batch.step):
            num_steps = stop - batch.step
            self._advance(attack, batch, stop, tensors)
            self._meter.add(name, len(batch.state["labels"]), attack.passes, num_steps)
            if stop == attack.chunks()[-1]:
                self._settle(attack, batch, np.arange(len(batch.rows)))
                batch.rows = batch.rows[:0]
            elif drops:
                broken = batch.state["broken"].numpy()[: len(batch.rows)]
                self._drop(attack, batch, np.flatnonzero(broken))
            self._tell(name, run, batch)
            if not len(batch.rows):
                return
            self._save(place, batch)

    def _save(self, place, batch):
        """Saves the state now and then, and at once if the user interrupts."""
        if interrupts.check():
            self._checkpoint.save(self._arrays(place, batch))
            raise KeyboardInterrupt
        self._checkpoint.save_if_due(lambda: self._arrays(place, batch))

    def _drop(self, attack, batch, broken):
        """Takes broken images out of a batch, once they are seen to be broken.

        What is right again when looked at a second time (a model with random outputs,
        logits that are equal but for the last digit) goes on.
        """
        if not len(broken):
            return
        is_wrong = self._settle(attack, batch, broken, looks=_LOOKS)
        batch.state["broken"] = tf.zeros_like(batch.state["broken"])
        stays = np.ones(len(batch.rows), bool)
        stays[broken[is_wrong]] = False
        if stays.any() and not stays.all():
            batch.state = take(batch.state, padded(np.flatnonzero(stays)))
        batch.rows = batch.rows[stays]

    def _settle(self, attack, batch, places, looks=1):
        """Records the worst images found at some places of a batch.

        Returns whether they are misclassified. With several looks only those are
        recorded that are misclassified at each.
        """
        rows = batch.rows[places]
        wanted = places if self.training else padded(places)
        found = tf.gather(batch.state["found"], wanted)
        labels = tf.gather(batch.state["labels"], wanted)
        results = (found.numpy(), *self._calls.judge(found, labels, looks))
        found, is_wrong, loss = (result[: len(rows)] for result in results)
        _check_numbers(attack, np.isnan(loss))
        keep = is_wrong if looks > 1 else np.ones_like(is_wrong)
        self.board.record(rows[keep], found[keep], is_wrong[keep], loss[keep])
        return is_wrong

    def _begin(self, attack, run, rows, tensors):
        rows = rows if self.training else padded(rows)
        seed = restart_seed(attack.seed, run.number)
        seeds = image_seeds(seed, self.first_index, len(self.images))
        start = {
            "images": self.images[rows],
            "labels": self.labels[rows],
            "targets": self._ranked[rows, run.rank],
            "seeds": seeds[rows],
        }
        return self._calls.begin(attack, start, tensors)

    def _advance(self, attack, batch, stop, tensors):
        batch.state, is_nan = self._calls.advance(
            attack, batch.state, batch.step, stop, tensors
        )
        batch.step = stop
        _check_numbers(attack, is_nan[: len(batch.rows)])

    def _look_at_clean_images(self):
        """The board, and each image's classes ranked by its clean logits."""
        depth = 1 + max(attack.num_targets for attack in self.attacks.values())
        results = []
        for rows in self.batches(np.arange(len(self.images))):
            wanted = rows if self.training else padded(rows)
            result = self._calls.clean(self.images[wanted], self.labels[wanted], depth)
            results.append([array[: len(rows)] for array in result])
            self._meter.add("clean", len(wanted), (1, 0))
        self._ranked, is_wrong, loss = map(np.concatenate, zip(*results, strict=True))
        self.standing = {"clean": ~is_wrong}
        for rows in self.batches(np.flatnonzero(is_wrong)):
            wanted = rows if self.training else padded(rows)
            again, _ = self._calls.judge(
                self.images[wanted], self.labels[wanted], _LOOKS - 1
            )
            is_wrong[rows] &= again[: len(rows)]
        self.board = Board.start(self.images, is_wrong, loss)

    def _tell(self, name, run, batch):
        if self._callback is None:
            return
        attack, standing = self.attacks[name], int(self.board.standing.sum())
        runs, num_steps = len(attack.runs()), attack.chunks()[-1]
        active = len(batch.rows)
        waiting = int(self.board.pending.sum()) - active
        runs_left = waiting + active * (1 - batch.step / num_steps)
        runs_left += (runs - run.number - 1) * standing
        left = runs_left * sum(attack.image_passes()) / runs
        names = list(self.attacks)
        for other in names[names.index(name) + 1 :]:
            left += standing * sum(self.attacks[other].image_passes())
        progress = self._meter.progress(
            left,
            attack=name,
            run=run.number + 1,
            num_runs=runs,
            step=batch.step,
            num_steps=num_steps,
            standing=standing,
            num_images=len(self.images),
        )
        self._callback(progress)

    def _restore(self):
        """What the checkpoint has, and the place (stage, run) that it reached."""
        saved = self._checkpoint.load()
        if saved is None:
            return {}, (-1, 0)
        self.board = Board(**{key: saved[key] for key in self.board.arrays()})
        self._meter.restore(saved["counts"])
        for stage, name in enumerate(self.attacks):
            if f"standing_{stage}" in saved:
                self.standing[name] = saved[f"standing_{stage}"]
        return saved, tuple(saved["place"].tolist())

    def _arrays(self, place, batch=None):
        """Dict of arrays: all that is needed to go on from here."""
        standing = {
            f"standing_{stage}": self.standing[name]
            for stage, name in enumerate(self.attacks)
            if name in self.standing
        }
        counts = {"place": np.array(place), "counts": self._meter.counts}
        inside = batch.arrays() if batch else {}
        return {**self.board.arrays(), **counts, **standing, **inside}


def _tensors(attack, run):
    return {**attack.tensors(), "restart": np.int32(run.restart)}


def _check_numbers(attack, is_nan):
    if is_nan.any():
        raise ValueError(
            f"{attack} met NaN at {is_nan.sum()} of {len(is_nan)} images: the model's "
            "logits or input gradient are NaN there (a square root or a division at "
            "zero?), which would pass for robustness; make the model differentiable at "
            "its inputs."
        )
