"""Target gradients of the row pag, and the batches that it trains on."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from igam_tf import data, distribution, models
from igam_tf.models.loading import load_keras
from igam_tf.training import pag_targets
from igam_tf.training.pag_cache import bytes_of
from igam_tf.training.score_matching import train_score_network

if TYPE_CHECKING:
    from igam_tf.experiment.runner import Run
    from igam_tf.training import pag
    from igam_tf.training.pag_base import Targets
    from igam_tf.training.pag_cache import InSteps


#: Bytes of a file of target gradients: all of CIFAR-10 take three quarters of it.
_LARGEST_FILE = 4 * 2**30
# Images, and targets, that are made at once for such a file.
_IMAGES, _TARGETS = 100, 1000
_SCORE_NETWORK = "score_network.keras"


def prepare(
    settings: pag.Settings, run: Run
) -> tuple[Targets | InSteps | Callable | None, Callable]:
    """Makes the target gradients that the settings of PAG ask for.

    Those of scores, for which a network is asked, are made of all classes once and kept
    in the run folder where this is less work than making those drawn in every step; see
    `_are_kept`.

    Args:
        settings: `igam_tf.training.pag.Settings`.
        run: for its data, and its folder, where a trained score network and its targets
            are kept; of a run that is only measured it is None, and nothing is trained.

    Returns:
        Tuple (targets, batches): the target gradients for `PAG`, or None where the
        batches bring them; and a function (batch_size, seed, first_epoch) to batches.
    """
    train = run.target.train
    seed, network = run.seed("pag"), None
    if settings.targets == "sbg":
        path = run.folder.file("pag", "targets.npy") if run.folder else None
        are_kept = _are_kept(settings, run, path)
        network = _score_network(settings, run, seed, in_steps=not are_kept)
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
    # Without crop and flip, which PAG does inside of the gradient.
    plain = functools.partial(
        data.training_batches, train, augmentation=data.Augmentation()
    )
    if network is None:
        return targets, plain
    if not are_kept:
        return pag_targets.InSteps(targets), plain
    if path is None:
        # Any will do where steps are measured: reading them takes no time.
        return lambda images, _: tf.stack([images] * targets.num_classes, 1), plain
    # The first worker writes the file, the others read it.
    if not run.folder.writes:
        distribution.wait_for_all(run.strategy)
    at_once = max(1, min(_IMAGES, _TARGETS // run.target.num_classes))
    stored = pag_targets.cached(targets, train, path, batch_size=at_once)
    if run.folder.writes:
        distribution.wait_for_all(run.strategy)
    return None, functools.partial(pag_targets.batches, stored, train)


def _are_kept(settings, run, path):
    """Whether targets of all images and classes are made once, and kept in a file."""
    experiment, train = run.experiment, run.target.train
    if path is not None and path.exists():
        # A run goes on as it began, also one of an earlier version.
        return True
    if run.is_streamed or experiment.augmenting.changes_images():
        return False
    classes = run.target.num_classes
    count = len(train) if path else run.target.train_total
    if bytes_of(count, train.images.shape[1:], classes) > _LARGEST_FILE:
        return False
    # Passes of the score network for an image; that for no class comes with each.
    in_steps = experiment.training.epochs * ((settings.classes or classes) + 1)
    return classes + 1 <= in_steps


def check(settings: pag.Settings, task: data.Task) -> None:
    """Target gradients of a class need images of it; scores need their network.

    Args:
        settings: `igam_tf.training.pag.Settings`.
        task: `igam_tf.data.Task` of the target.

    Raises:
        ValueError: naming the flag.
    """
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


def _score_network(settings, run, seed, *, in_steps):
    """The denoiser of `--score_model`, that of the run folder, or one trained here."""
    # Steps of several devices need it within their scope.
    strategy = run.strategy if in_steps else distribution.local(run.strategy)
    if settings.score_model:
        with strategy.scope():
            return load_keras(settings.score_model)
    if run.folder is None:
        task = run.target
        return models.score_network(
            num_classes=task.num_classes, image_shape=task.image_shape
        )
    if not run.folder.is_finished(_SCORE_NETWORK):
        distribution.set_seed(seed)
        network = train_score_network(
            run.target.train,
            num_classes=run.target.num_classes,
            epochs=settings.score_epochs,
            seed=seed,
            verbose=0,
        )
        run.folder.save_model(network, _SCORE_NETWORK)
    # Outside of the branch: a worker that starts late finds the file of the first one.
    distribution.wait_for_all(run.strategy)
    return run.folder.load_model(_SCORE_NETWORK, strategy)
