"""Trains a stage of a run from its newest checkpoint to its last epoch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from igam_tf import data
from igam_tf.reports import TensorBoardLog
from igam_tf.training import TrainingMethod, callbacks

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
        batches: function (batch_size, seed, first_epoch) to the training batches; by
            default the images of the task with `augmentation` and `partners`.
        augmentation, partners: of `igam_tf.data.training_batches`.
    """
    # Over forty lines because of its arguments.
    batches = batches or functools.partial(
        data.training_batches, task.train, augmentation=augmentation, partners=partners
    )
    run.record()
    steps_per_epoch = data.steps_per_epoch(task.train, batch_size)
    # An execution must not run into the next epoch's batches.
    method.steps_per_execution = _largest_divisor(
        steps_per_epoch, run.experiment.run.steps_per_execution
    )
    checkpoint = callbacks.Checkpoint(
        run.folder.file(stage, "checkpoints"), share=CHECKPOINTS
    )
    first_epoch = checkpoint.restore(method)
    if first_epoch:
        run.say(f"{stage}: going on after epoch {first_epoch}")
    held_out = data.Split(
        task.test.images[:VALIDATION_EXAMPLES], task.test.labels[:VALIDATION_EXAMPLES]
    )
    written = [
        callbacks.Progress(stage),
        callbacks.History(run.folder.file(stage, "history.csv")),
        checkpoint,
    ]
    if run.experiment.run.tensorboard:
        shown = held_out.images[:TENSORBOARD_IMAGES]
        written.append(
            TensorBoardLog(
                run.folder.file(stage, "tensorboard"),
                shown,
                held_out.labels[:TENSORBOARD_IMAGES],
            )
        )
    method.fit(
        batches(batch_size, seed=run.seed("data"), first_epoch=first_epoch),
        epochs=epochs,
        initial_epoch=first_epoch,
        steps_per_epoch=steps_per_epoch,
        validation_data=data.evaluation_batches(held_out, 250),
        verbose=0,
        callbacks=[callbacks.StopOnDivergence(), *(written if run.is_chief else ())],
    )


def _largest_divisor(number, limit):
    return next(n for n in range(min(number, limit), 0, -1) if number % n == 0)
