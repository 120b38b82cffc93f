"""Checks, before anything is trained, that need the data, the folder or networks."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

import tensorflow as tf

from igam_tf import data, distribution
from igam_tf.experiment import initial_weights, networks, own_networks, starts
from igam_tf.experiment.setup import Setup
from igam_tf.reports import tensorboard
from igam_tf.settings import naming

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.folder import RunFolder

_SHARED = "shared_by_all_workers"


def check_shared_folder(folder: RunFolder, strategy: tf.distribute.Strategy) -> None:
    """All workers need to see what the first one writes.

    Args:
        folder: `RunFolder`.
        strategy: the strategy that trains.

    Raises:
        ValueError: at workers that see another folder.
    """
    if not distribution.is_multiworker(strategy):
        return
    token = secrets.randbits(30)
    folder.write_json(_SHARED, {"token": token})
    token = distribution.from_first_worker(strategy, token)
    if (folder.read_json(_SHARED) or {}).get("token") != token:
        raise ValueError(
            f"--run_dir={folder.path} is not the folder of the first worker: pass one "
            "that all workers share, such as a folder of a network file system."
        )
    distribution.wait_for_all(strategy)


def check_packages(experiment: Experiment) -> None:
    """What is installed only with an extra, and asked for.

    Args:
        experiment: the settings.

    Raises:
        ValueError: naming the flag and the extra.
    """
    if experiment.run.tensorboard:
        try:
            tensorboard.check_installed()
        except ImportError as error:
            raise ValueError(str(error)) from error


def check_batch(
    flag: str, size: int, split: data.Split, strategy: tf.distribute.Strategy
) -> None:
    """Every replica needs an image of every batch: batch norm of none is NaN.

    Args:
        flag: name of the flag of the batch size.
        size: images of a batch.
        split: `igam_tf.data.Split` of training images.
        strategy: the strategy that trains.

    Raises:
        ValueError: naming the flag.
    """
    replicas = strategy.num_replicas_in_sync
    for batch in {min(size, len(split)), len(split) % size or size}:
        if -(-batch // replicas) * (replicas - 1) >= batch:
            raise ValueError(
                f"--{flag}={size} gives a batch of {batch} of the {len(split)} "
                f"training images, too few for {replicas} replicas; change it, or the "
                "number of training images."
            )


def check_rows(
    experiment: Experiment, task: data.Task, strategy: tf.distribute.Strategy
) -> list[str]:
    """Everything that a late row needs, before the first one trains.

    The networks that the rows train are built once and thrown away; the teacher, which
    is made first, is checked with it.

    Args:
        experiment: the settings.
        task: `igam_tf.data.Task` of the target.
        strategy: the strategy that trains.

    Returns:
        Sentences about the networks, to be told.

    Raises:
        ValueError: naming the flag.
    """
    said: set[str] = set()
    check_batch("batch_size", experiment.training.batch_size, task.train, strategy)
    for name in experiment.methods:
        method = experiment.settings_of(name)
        if method.is_teacher:
            continue
        is_own = own_networks.is_own(experiment.student.model)
        flags = "--student_model, --depth, --width, --patch_size, --target"
        with contextlib.nullcontext() if is_own else naming(flags):
            student = networks.fresh_student(experiment, method.student_normalization)
        if start := starts.path(experiment):
            with naming(f"The row {name}"):
                initial_weights.load(student, start)
        if is_own:
            said.add(own_networks.check_row(experiment, student, method))
        method.check_row(
            Setup(experiment=experiment, task=task, student=student, total_steps=1)
        )
    return sorted(said - {""})
