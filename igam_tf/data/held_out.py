"""Images taken away from training, to choose settings on without the test set."""

from __future__ import annotations

import dataclasses

import numpy as np

from igam_tf.data import batches
from igam_tf.data.own import splits
from igam_tf.data.task import Split, Task


def hold_out(
    task: Task,
    fraction: float,
    *,
    seed: int = 0,
    train_examples: int | None = None,
    test_examples: int | None = None,
) -> Task:
    """The same task with part of its training images in the place of its test images.

    Of each class the same part is held out. Which images these are depends on the seed
    and the number of training images alone: read all of them, and cut here.

    Args:
        task: as read, whole; its test images are not used.
        fraction: part of each class, above 0 and below 1; one image of each at least.
        seed: chooses the images.
        train_examples: keep only the first so many of the other images; None for all.
        test_examples: the same of those held out, among which every beginning has the
            classes in proportion.

    Returns:
        Task: its `train` has none of the images of its `test`, both are training images
        of the data set, and `held_out_fraction` says so.

    Raises:
        ValueError: if the fraction is out of range, the training images are streamed or
            cut, or a class has a single one.
    """
    _check(task, fraction, train_examples=train_examples, test_examples=test_examples)
    labels = np.asarray(task.train.labels)
    names = task.class_names or tuple(map(str, range(task.num_classes)))
    train, test = splits.stratified(
        labels,
        [str(place) for place in range(len(labels))],
        names,
        test_fraction=fraction,
        seed=seed,
    )
    # A cut keeps the images that come first in the data set, as it does elsewhere.
    train = np.sort(train)
    return dataclasses.replace(
        task,
        train=_part(task.train, train[:train_examples]),
        test=_part(task.train, test[:test_examples]),
        train_total=len(train),
        test_total=len(test),
        held_out_fraction=fraction,
    )


def _check(task, fraction, **counts):
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction}: expected a number between 0 and 1.")
    for argument, value in counts.items():
        if value is not None:
            batches.check_count(argument, value)
    if task.train.is_streamed:
        raise ValueError(
            f"{task.name} is streamed, and its training images cannot be held out: "
            "expected images in memory (--stream=false, stream=False), or a test split "
            "of your own."
        )
    if len(task.train) < task.train_total:
        raise ValueError(
            f"{task.name} was read with {len(task.train)} of {task.train_total} "
            "training images: expected all; cut what is left by train_examples here."
        )


def _part(split, places):
    return Split(split.images[places], np.asarray(split.labels)[places])
