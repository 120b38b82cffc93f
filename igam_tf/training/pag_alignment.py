"""Target gradients of the row pag, and the batches that it trains on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from igam_tf import data, distribution
from igam_tf.models.loading import load_keras
from igam_tf.training import pag_targets
from igam_tf.training.score_matching import train_score_network

if TYPE_CHECKING:
    from igam_tf.experiment.runner import Run
    from igam_tf.training import pag


def prepare(settings: pag.Settings, run: Run) -> tuple[Callable | None, Callable]:
    """Makes the target gradients that the settings of PAG ask for.

    Args:
        settings: `igam_tf.training.pag.Settings`.
        run: for its data, and its folder, where a trained score network and its targets
            are kept.

    Returns:
        Tuple (targets, batches): function (images, labels) for `PAG`, or None where the
        batches bring them; and a function (batch_size, seed, first_epoch) to batches.
    """
    train = run.target.train
    seed, network = run.seed("pag"), None
    if settings.targets == "sbg":
        network = _score_network(settings, run, seed)
    targets = pag_targets.make(
        settings.targets,
        train,
        run.target.num_classes,
        per_class=settings.per_class,
        score_network=network,
        sigma=settings.score_sigma,
        num_draws=settings.score_draws,
        seed=seed,
    )
    if network is None:
        # Without crop and flip, which PAG does inside of the gradient.
        plain = data.Augmentation()
        return targets, functools.partial(
            data.training_batches, train, augmentation=plain
        )
    # The first worker writes the file, the others read it.
    if not run.folder.writes:
        distribution.wait_for_all(run.strategy)
    stored = pag_targets.cached(targets, train, run.folder.file("pag", "targets.npy"))
    if run.folder.writes:
        distribution.wait_for_all(run.strategy)
    return None, functools.partial(pag_targets.batches, stored, train)


def check(settings: pag.Settings, task: data.Task) -> None:
    """Target gradients of a class need images of it; scores need their network.

    Args:
        settings: `igam_tf.training.pag.Settings`.
        task: `igam_tf.data.Task` of the target.

    Raises:
        ValueError: naming the flag.
    """
    if task.train.is_streamed and settings.targets == "sbg":
        raise ValueError(
            f"--pag_targets=sbg: a target of every training image is kept, and those "
            f"of {task.name} are streamed because they do not fit into memory; take "
            "oi, cm or nn, or --stream=false with fewer or smaller images."
        )
    if settings.targets == "sbg":
        if settings.score_model:
            _check_score_model(settings.score_model, task.image_shape)
        return
    needed = min(settings.per_class, 2) if settings.targets == "nn" else 1
    counts = np.bincount(task.train.labels, minlength=task.num_classes)
    if counts.min() < needed:
        raise ValueError(
            f"--train_examples={len(task.train)}: class {counts.argmin()} of "
            f"{task.name} has {counts.min()} of these training images, and the row pag "
            f"needs {needed} or more of each class (--pag_targets={settings.targets}); "
            "take more, or leave pag out of --methods."
        )


def _check_score_model(path, image_shape):
    inputs = load_keras(path).inputs
    if len(inputs) != 3 or tuple(inputs[0].shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"--score_model={path} takes {[tuple(part.shape) for part in inputs]}; "
            f"expected [noisy images {(None, *image_shape)}, classes, sigmas], as "
            "train_score_network returns."
        )


def _score_network(settings, run, seed):
    """The denoiser of `--score_model`, that of the run folder, or one trained here."""
    if settings.score_model:
        return load_keras(settings.score_model)
    local = distribution.local(run.strategy)
    finished = run.folder.load_model("score_network.keras", local)
    if finished is not None:
        return finished
    network = train_score_network(
        run.target.train,
        num_classes=run.target.num_classes,
        epochs=settings.score_epochs,
        seed=seed,
        verbose=0,
    )
    run.folder.save_model(network, "score_network.keras")
    distribution.wait_for_all(run.strategy)
    return network
