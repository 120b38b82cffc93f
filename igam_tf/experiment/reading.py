"""Reads the data of a run: the source, and the target or a part that is held out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igam_tf import data
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


def _read(experiment, role, **options):
    settings = experiment.data
    return data.read(
        getattr(settings, role),
        settings.data_dir or None,
        download=settings.download,
        **options,
        **settings.own(role),
    )
