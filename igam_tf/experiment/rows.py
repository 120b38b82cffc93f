"""Trains the student of one row of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keras

from igam_tf import data, distribution, models, training
from igam_tf.experiment import controls, networks
from igam_tf.experiment.fitting import fit
from igam_tf.experiment.setup import Setup, augmentation
from igam_tf.training import matched

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.runner import Run
    from igam_tf.experiment.stages import NaturalStart, Row


def train(run: Run, stage: Row) -> keras.Model:
    """The trained student of a row.

    Args:
        run: the run.
        stage: the `Row` stage, after its inputs.
    """
    experiment, settings = run.experiment, run.experiment.training
    teacher = stage.teacher and run.model(stage.teacher, f"{stage.teacher}.keras")
    start = stage.start
    initial = start and run.model(start.name, start.output)
    targets, batches = stage.settings.prepare(run)
    matched_to = controls.matched_to(controls.split(stage.row)[1])
    steps_per_epoch = data.steps_per_epoch(run.target.train, settings.batch_size)
    with run.strategy.scope():
        # One seed for all rows: they start from the same weights.
        distribution.set_seed(run.seed("student"))
        student = networks.student(experiment, stage.settings.student_normalization)
        run.folder.require_space(student.count_params())
        if initial:
            models.set_weights(student, initial.get_weights())
        setup = Setup(
            experiment=experiment,
            task=run.target,
            student=student,
            teacher=teacher or None,
            targets=targets,
            matched_to=matched_to,
            total_steps=settings.epochs * steps_per_epoch,
        )
        method = stage.settings.build(setup)
    fit(
        run,
        stage.name,
        method,
        run.target,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        batches=batches,
        augmentation=augmentation(experiment),
        partners=matched_to if matched_to in matched.WITH_PARTNERS else None,
    )
    if stage.teacher and experiment.teacher.batch_norm == "batch":
        # Its moving statistics have moved: the next row takes those of the file, as it
        # does where a run goes on between the two.
        run.models.pop(stage.teacher, None)
    # What is evaluated, and what users load.
    run.finish(stage.name, models.in_float32(student), stage.output)
    return student


def natural_start(run: Run, stage: NaturalStart) -> keras.Model:
    """The student that rows start from, after some epochs of natural training.

    Optimizer, schedule and augmentation are those of the rows; its last weights are
    kept, not averaged ones.

    Args:
        run: the run.
        stage: the `NaturalStart` stage.
    """
    experiment, epochs = run.experiment, run.experiment.student.natural_epochs
    batch_size = experiment.training.batch_size
    with run.strategy.scope():
        distribution.set_seed(run.seed("student"))
        student = networks.student(experiment, stage.normalization)
        run.folder.require_space(student.count_params())
        method = naturally(
            experiment,
            run.target,
            student,
            epochs * data.steps_per_epoch(run.target.train, batch_size),
        )
    fit(
        run,
        stage.name,
        method,
        run.target,
        epochs=epochs,
        batch_size=batch_size,
        augmentation=augmentation(experiment),
    )
    run.finish(stage.name, models.in_float32(student), stage.output)
    return student


def naturally(
    experiment: Experiment, task: data.Task, student: keras.Model, total_steps: int
) -> training.TrainingMethod:
    """The compiled method of `natural_start`."""
    setup = Setup(
        experiment=experiment.replace(weights_ema=0.0),
        task=task,
        student=student,
        total_steps=total_steps,
    )
    return setup.compiled(training.StandardTraining(student, **setup.arguments()))
