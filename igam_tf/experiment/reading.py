"""Reads the data of a run: the source, and the target or a part that is held out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from igam_tf import data, pixels
from igam_tf.settings import naming

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment


def read_source(experiment: Experiment, **kwargs: Any) -> data.Task:
    """The data of the source task.

    Args:
        experiment: the settings.
        **kwargs: of `igam_tf.data.read`, in place of the settings'.

    Raises:
        ValueError, OSError: as `igam_tf.data.read`.
    """
    settings = experiment.data
    options = {
        "train_examples": settings.source_train_examples or None,
        "test_examples": experiment.evaluation.num_examples or None,
        **kwargs,
    }
    return _read(experiment, "source", **options)


def read_target(experiment: Experiment, **kwargs: Any) -> data.Task:
    """The data of the target task; its test images may be training images held out.

    With `--held_out_fraction` no test image is used: a single one is read, because a
    data set is read with both of its splits, and dropped.

    Args:
        experiment: the settings.
        **kwargs: `train_examples`, `test_examples` in place of the settings'.

    Raises:
        ValueError, OSError: as `igam_tf.data.read` and `igam_tf.data.hold_out`.
    """
    settings = experiment.data
    counts = {
        "train_examples": settings.train_examples or None,
        "test_examples": experiment.evaluation.num_examples or None,
        **kwargs,
    }
    if not settings.held_out_fraction:
        return _read(experiment, "target", **counts)
    whole = _read(experiment, "target", train_examples=None, test_examples=1)
    with naming("--held_out_fraction"):
        return data.hold_out(
            whole, settings.held_out_fraction, seed=settings.split_seed, **counts
        )


def held_out_warning(
    experiment: Experiment, source: data.Task, target: data.Task
) -> str:
    """A sentence where a teacher is trained on images that are held out; or "".

    The teacher's task may have the images of the target, with other classes. Streamed
    images are not decoded for it: they are the same where the names are.

    Args:
        experiment: the settings.
        source: what the teacher is about to be trained on.
        target: what is evaluated on, with `--held_out_fraction`.
    """
    if not target.held_out_fraction:
        return ""
    settings, known = experiment.data, len(target.test)
    if not source.train.is_streamed and not target.test.is_streamed:
        trained_on = set(_digests(source.train.images))
        known = sum(d in trained_on for d in _digests(target.test.images))
    elif settings.source != settings.target:
        known = 0
    if not known:
        return ""
    return (
        f"Warning: the teacher is trained on {known:,} of the {len(target.test):,} "
        f"images that --held_out_fraction holds out: --source={settings.source} and "
        f"--target={settings.target} share them. Rows that learn from the teacher may "
        "look better on these than on images that nothing has seen; take another "
        "source to compare them with the other rows."
    )


def _digests(images):
    for image in images:
        values = np.round(255 * pixels.as_float(np.asarray(image))).astype(np.uint8)
        # The shape as well: images of other sizes are other images.
        yield hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).digest()


def _read(experiment, role, **options):
    settings = experiment.data
    return data.read(
        getattr(settings, role),
        settings.data_dir or None,
        download=settings.download,
        **options,
        **settings.own(role),
    )
