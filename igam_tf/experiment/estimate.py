"""What the stages of a run take: one step of each, compiled and measured on noise."""

from __future__ import annotations

import dataclasses
import functools
import resource
import time
from typing import ClassVar

import keras
import numpy as np

from igam_tf import attacks, data, distribution, pixels
from igam_tf.attacks import names
from igam_tf.evaluation.corruptions import cost
from igam_tf.experiment import controls, networks, rows, teacher
from igam_tf.experiment import stages as stage_kinds
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.setup import Setup
from igam_tf.training.matched import WITH_PARTNERS

_TIMED_STEPS = 3
# Images that are corrupted to see how long it takes.
_CORRUPTED = 8


@dataclasses.dataclass(frozen=True)
class Measured:
    """One stage, measured.

    Attributes:
        parameters: weights of the network that it trains or evaluates.
        steps: training steps, or batches of the evaluation.
        seconds: of one of them, after compilation.
        memory: peak of this process so far, in bytes.
        remark: what the estimate leaves out.
        seconds_besides: of what is not done in steps: common corruptions.
    """

    parameters: int = 0
    steps: int = 0
    seconds: float = 0.0
    memory: int = 0
    remark: str = ""
    seconds_besides: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of the whole stage."""
        return self.steps * self.seconds + self.seconds_besides


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Measures the stages of one experiment; to a method's `prepare` it is the run."""

    experiment: Experiment
    #: Nothing is written, and nothing found.
    folder: ClassVar[None] = None

    @functools.cached_property
    def strategy(self):
        settings = self.experiment.run
        return distribution.strategy(settings.strategy, devices=settings.devices)

    @functools.cached_property
    def target(self):
        settings = self.experiment.data
        return self._noise("target", settings.train_examples)

    @functools.cached_property
    def is_streamed(self):
        """Whether the run reads its training images as it goes: the noise does not."""
        return self._read("target").train.is_streamed

    def seed(self, purpose):
        del purpose
        return 0

    def _read(self, role):
        """The task with one image, which knows how many there are."""
        settings = self.experiment.data
        return data.read(
            getattr(settings, role),
            settings.data_dir or None,
            train_examples=1,
            test_examples=1,
            download=settings.download,
            progress=False,
            **settings.own(role),
        )

    def _noise(self, role, num_train):
        """A task of a few images of noise, that knows how many images a run has."""
        settings, info = self.experiment.data, self.experiment.data.info(role)
        found = self._read(role)
        count = max(2 * info.num_classes, self.experiment.training.batch_size)
        noise = np.random.default_rng(0).integers(0, 256, (count, *info.image_shape))
        labels = np.arange(count, dtype=np.int32) % info.num_classes
        split = data.Split(noise.astype(np.uint8), labels)
        num_test = self.experiment.evaluation.num_examples
        train_total, test_total = found.train_total, found.test_total
        if role == "target" and settings.held_out_fraction:
            test_total = round(settings.held_out_fraction * train_total)
            train_total -= test_total
        return dataclasses.replace(
            found,
            train=split,
            test=split,
            train_total=min(num_train or train_total, train_total),
            test_total=min(num_test or test_total, test_total),
        )

    def of(self, stage):
        """The `Measured` of a stage."""
        kinds = {
            stage_kinds.Teacher: self._teacher,
            stage_kinds.Finetuning: self._finetuning,
            stage_kinds.NaturalStart: self._natural_start,
            stage_kinds.Row: self._row,
            stage_kinds.Evaluation: self._evaluation,
        }
        if type(stage) not in kinds:
            return Measured()
        keras.utils.clear_session(free_memory=False)
        with self.strategy.scope():
            return kinds[type(stage)](stage)

    def _teacher(self, stage):
        settings, experiment = self.experiment.teacher, self.experiment
        model = networks.untrained_teacher(experiment)
        if stage.control == "random_teacher" or (
            settings.checkpoint and not stage.control
        ):
            return Measured(parameters=model.count_params(), remark="not trained")
        task = self._noise("source", experiment.data.source_train_examples)
        steps = settings.epochs * _batches(task.train_total, settings.batch_size)
        method = teacher.adversarial_training(
            experiment, model, 0, steps, is_robust=not stage.control
        )
        return _measured(method, task, settings.batch_size, steps)

    def _finetuned(self):
        model = networks.untrained_teacher(self.experiment)
        return teacher.with_new_logits(self.experiment, model, self.target)

    def _finetuning(self, stage):
        batch_size = self.experiment.training.batch_size
        method = teacher.finetuning(self.experiment, self._finetuned(), 0)
        steps = stage.epochs * _batches(self.target.train_total, batch_size)
        return _measured(method, self.target, batch_size, steps)

    def _natural_start(self, stage):
        batch_size = self.experiment.training.batch_size
        student = networks.student(self.experiment, stage.normalization)
        method = rows.naturally(self.experiment, self.target, student, 1)
        steps = self.experiment.student.natural_epochs
        steps *= _batches(self.target.train_total, batch_size)
        return _measured(method, self.target, batch_size, steps)

    def _row(self, stage):
        settings = self.experiment.training
        targets, batches = stage.settings.prepare(self)
        matched_to = controls.matched_to(controls.split(stage.row)[1])
        setup = Setup(
            # Matching, which takes the time, starts at once.
            experiment=self.experiment.replace(matching_start=0.0),
            task=self.target,
            student=networks.student(
                self.experiment, stage.settings.student_normalization
            ),
            teacher=self._finetuned() if stage.teacher else None,
            targets=targets,
            matched_to=matched_to,
            total_steps=1,
        )
        method = stage.settings.build(setup)
        steps = settings.epochs * _batches(self.target.train_total, settings.batch_size)
        partners = matched_to if matched_to in WITH_PARTNERS else None
        found = _measured(
            method, self.target, settings.batch_size, steps, batches, partners
        )
        if not stage.settings.trains_first():
            return found
        return dataclasses.replace(found, remark="without a network trained first")

    def _evaluation(self, stage):
        settings, experiment = self.experiment.evaluation, self.experiment
        is_teacher = experiment.settings_of(controls.split(stage.row)[0]).is_teacher
        model = self._finetuned() if is_teacher else networks.student(experiment)
        count = min(settings.batch_size, len(self.target.test))
        images = pixels.as_float(self.target.test.images[:count])
        labels = self.target.test.labels[:count]
        attack = attacks.pgd(eps=1 / 255, step_size=1 / 255, num_steps=1)
        seconds = _seconds(lambda: attack(model, images, labels)) / count
        steps, others = 0, []
        for name in settings.attacks:
            form, numbers = names.match(name)
            if form.place.startswith("gradient_attack"):
                restarts = numbers.get("num_restarts", 1)
                steps += numbers.get("num_steps", 1) * restarts
            elif form.place:
                others.append(name)
        return Measured(
            parameters=model.count_params(),
            steps=steps * self.target.test_total,
            seconds=seconds,
            memory=_peak_memory(),
            remark=f"without {', '.join(others)}" if others else "",
            seconds_besides=self._corruptions(model, images[:_CORRUPTED]),
        )

    def _corruptions(self, model, images):
        """Seconds of the evaluation on common corruptions."""
        settings = self.experiment.evaluation
        asked = settings.asked_corruptions()
        if asked is None:
            return 0.0
        most = settings.num_examples or None
        count = cost.num_corrupted(asked, self.target.test_total, most)
        return count * cost.seconds_an_image(
            model, asked, images, batch_size=settings.batch_size
        )


def _measured(method, task, batch_size, steps, batches=None, partners=None):
    batches = batches or functools.partial(
        data.training_batches,
        task.train,
        augmentation=data.Augmentation(),
        partners=partners,
    )
    size = min(batch_size, len(task.train))
    clock = _Clock()
    method.fit(
        batches(size, seed=0, first_epoch=0),
        steps_per_epoch=_TIMED_STEPS,
        verbose=0,
        callbacks=[clock],
    )
    return Measured(
        parameters=method.student.count_params(),
        steps=steps,
        seconds=min(clock.seconds[1:]),
        memory=_peak_memory(),
    )


class _Clock(keras.callbacks.Callback):
    """Seconds of each training step; the first one compiles."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)


def _seconds(work):
    """Of the second of two calls: the first one compiles."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak_memory():
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _batches(count, batch_size):
    return -(-count // batch_size)
