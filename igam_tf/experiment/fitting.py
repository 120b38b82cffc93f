"""Trains a stage of a run from its newest checkpoint to its last epoch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from igam_tf import attacks, data, distribution
from igam_tf.reports import TensorBoardLog
from igam_tf.training import TrainingMethod, callbacks
from igam_tf.training.checkpoint import Checkpoint
from igam_tf.training.under_attack import UnderAttack

if TYPE_CHECKING:
    from igam_tf.experiment.runner import Run

VALIDATION_EXAMPLES = 1000
TENSORBOARD_IMAGES = 4
#: Share of a training's time that its checkpoints may take.
CHECKPOINTS = 0.05


def fit(
    run: Run,
    stage: str,
    method: TrainingMethod,
    task: data.Task,
    *,
    epochs: int,
    batch_size: int,
    batches: Callable | None = None,
    augmentation: data.Augmentation | None = None,
    partners: str | None = None,
) -> None:
    """Trains a compiled method, with a log and checkpoints in the run folder.

    Args:
        run: the run.
        stage: name of the stage.
        method: what is trained.
        task: `igam_tf.data.Task` with its images.
        epochs: number of epochs in all sessions together.
        batch_size: images of a step, over all replicas.
        batches: function (batch_size, seed, first_epoch), and first_step where a run
            goes on within an epoch, to the training batches; by default the images of
            the task with `augmentation` and `partners`.
        augmentation, partners: of `igam_tf.data.training_batches`.
    """
    # Over forty lines because of its arguments, and those of `fit`.
    batches = batches or functools.partial(
        data.training_batches, task.train, augmentation=augmentation, partners=partners
    )
    run.record()
    steps_per_epoch = data.steps_per_epoch(task.train, batch_size)
    checkpoint = Checkpoint(
        run.folder.file(stage, "checkpoints"),
        run.experiment.run.checkpoint_steps,
        share=CHECKPOINTS,
        writes=run.is_chief,
    )
    held_out = data.Split(
        task.test.images[:VALIDATION_EXAMPLES], task.test.labels[:VALIDATION_EXAMPLES]
    )
    first_epoch, first_step = _restored(checkpoint, method)
    if first_epoch or first_step:
        within = f", step {first_step} of the next" if first_step else ""
        run.say(f"{stage}: going on after epoch {first_epoch}{within}")
    # An execution must not run into the next epoch's batches.
    method.steps_per_execution = _largest_divisor(
        math.gcd(steps_per_epoch, first_step), run.experiment.run.steps_per_execution
    )
    while True:
        method.fit(
            batches(
                batch_size,
                seed=run.seed("data"),
                first_epoch=first_epoch,
                **({"first_step": first_step} if first_step else {}),
            ),
            # The rest of an epoch by itself: to Keras all have as many steps.
            epochs=first_epoch + 1 if first_step else epochs,
            initial_epoch=first_epoch,
            steps_per_epoch=steps_per_epoch - first_step,
            validation_data=data.evaluation_batches(held_out, 250),
            verbose=0,
            callbacks=_callbacks(run, stage, checkpoint, held_out, epochs),
        )
        if not first_step:
            return
        # At its end Keras may replace weights by their mean: those of the epoch's end
        # are trained on.
        distribution.wait_for_all(run.strategy)
        first_epoch, first_step = _restored(checkpoint, method)


def _restored(checkpoint, method):
    """(epoch, step within it) to go on with."""
    return checkpoint.restore(method), checkpoint.first_step


def _callbacks(run, stage, checkpoint, held_out, epochs):
    """Those of every process, and in between those of the one that writes."""
    found = [callbacks.StopOnDivergence()]
    if run.is_chief:
        found += [
            *_under_attack(run.experiment, held_out),
            callbacks.Progress(stage, epochs=epochs),
            callbacks.History(run.folder.file(stage, "history.csv")),
        ]
    if run.is_chief and run.experiment.run.tensorboard:
        found.append(
            TensorBoardLog(
                run.folder.file(stage, "tensorboard"),
                held_out.images[:TENSORBOARD_IMAGES],
                held_out.labels[:TENSORBOARD_IMAGES],
            )
        )
    # Last: an epoch that it has saved is in the history.
    return [*found, checkpoint]


def _under_attack(experiment, held_out):
    """The callback of `--epoch_attack`, before that of the history."""
    if not (name := experiment.run.epoch_attack):
        return
    ball = experiment.attack
    attack = attacks.parse(
        name,
        eps=ball.eps,
        step_size=ball.step_size,
        norm=ball.norm,
        seed=experiment.run.seed,
    )
    if attack:
        yield UnderAttack(name, attack, held_out.images, held_out.labels)


def _largest_divisor(number, limit):
    return next(n for n in range(min(number, limit), 0, -1) if number % n == 0)
