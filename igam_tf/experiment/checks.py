"""Checks of a run before anything is trained."""

import contextlib
import secrets

import numpy as np

from igam_tf import distribution, models
from igam_tf.data import registry
from igam_tf.experiment import networks
from igam_tf.models.loading import load_keras

_SHARED = "shared_by_all_workers"


def check_shared_folder(folder, strategy):
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


def check_batch(experiment, flag, split, strategy):
    """Every replica needs an image of every batch: batch norm of none is NaN.

    Args:
        experiment: the settings.
        flag: name of the setting that holds the batch size.
        split: `igam_tf.data.Split` of training images.
        strategy: the strategy that trains.

    Raises:
        ValueError: naming the flag.
    """
    size, replicas = getattr(experiment, flag), strategy.num_replicas_in_sync
    for batch in {min(size, len(split)), len(split) % size or size}:
        if -(-batch // replicas) * (replicas - 1) >= batch:
            raise ValueError(
                f"--{flag}={size} gives a batch of {batch} of the {len(split)} "
                f"training images, too few for {replicas} replicas; change it, or the "
                "number of training images."
            )


def check_rows(experiment, task):
    """Everything that a late row needs, before the first one trains.

    The networks that the rows train are built once and thrown away; the teacher, which
    is made first, is checked with it.

    Args:
        experiment: the settings.
        task: `igam_tf.data.Task` of the target.

    Raises:
        ValueError: naming the flag.
    """
    methods = set(experiment.methods)
    if methods - {"finetune"}:
        with naming("--student_model, --depth, --width, --target"):
            networks.student(experiment)
    if "jarn" in methods:
        with naming("--discriminator, --discriminator_channels"):
            networks.discriminator(experiment, task.image_shape)
    if "pag" in methods:
        _check_pag(experiment, task)


def _check_pag(experiment, task):
    """Target gradients of a class need images of it; scores need their network."""
    if experiment.pag_targets == "sbg":
        if not experiment.score_model:
            with naming("--pag_targets=sbg"):
                models.score_network(
                    num_classes=task.num_classes, image_shape=task.image_shape
                )
            return
        _check_score_model(experiment)
        return
    needed = 1
    if experiment.pag_targets == "nn":
        needed = min(experiment.pag_per_class, 2)
    counts = np.bincount(task.train.labels, minlength=task.num_classes)
    if counts.min() < needed:
        raise ValueError(
            f"--train_examples={experiment.train_examples or len(task.train)}: class "
            f"{counts.argmin()} of {task.name} has {counts.min()} of these training "
            f"images, and the row pag needs {needed} or more of each class "
            f"(--pag_targets={experiment.pag_targets}); take more, or leave pag out of "
            "--methods."
        )


def _check_score_model(experiment):
    network = load_keras(experiment.score_model)
    shape = tuple(registry.find(experiment.target).image_shape)
    inputs = network.inputs
    if len(inputs) != 3 or tuple(inputs[0].shape[1:]) != shape:
        raise ValueError(
            f"--score_model={experiment.score_model} takes "
            f"{[tuple(part.shape) for part in inputs]}; expected [noisy images "
            f"{(None, *shape)}, classes, sigmas], as train_score_network returns."
        )


@contextlib.contextmanager
def naming(flags):
    """Lets errors about a setting, or what is made from it, name its flags."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{flags}: {error}") from error
