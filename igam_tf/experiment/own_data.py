"""Records data of one's own in a run folder, and notices if they have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from igam_tf import data
from igam_tf.data import registry
from igam_tf.data.streamed import gibibytes

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.folder import RunFolder


_SHOWN = 10
# What is known of data of TFDS before they are prepared.
_BEFORE_READING = ("name", "classes", "image_shape")


def sentence(role: str, task: data.Task) -> str:
    """What was read of data of one's own, for the screen.

    Args:
        role: "source" or "target".
        task: as read.
    """
    shape = "x".join(map(str, task.image_shape))
    if task.held_out_fraction:
        return (
            f"{role.capitalize()} {task.name}: {len(task.train):,} training images of "
            f"{shape}; {len(task.test):,} others, held out of the training images, are "
            "evaluated on. The test images are not used."
        )
    names = ", ".join(task.class_names[:_SHOWN])
    more = f" and {task.num_classes - _SHOWN} more" if task.num_classes > _SHOWN else ""
    said = (
        f"{role.capitalize()} {task.name}: {len(task.train):,} training and "
        f"{len(task.test):,} test images of {shape}; classes {names}{more}."
    )
    if not task.train.is_streamed:
        return said
    count = task.train_total + task.test_total
    return (
        f"{said} They are streamed, decoded again in each epoch: all {count:,} would "
        f"take {gibibytes(count, task.image_shape)} of memory. Of test images the "
        f"centre is kept, {task.test.images.center_crop:g} of the side."
    )


def records(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """What tells the data of one's own from others, by role ("source", "target").

    Contents of all files are read for it: a copy elsewhere, with other times, is the
    same data. Registered data sets have no record.

    Args:
        experiment: the settings.
    """
    settings = experiment.data
    found = {
        role: registry.fingerprint(
            getattr(settings, role),
            data_dir=settings.data_dir or None,
            **settings.own(role),
        )
        for role in ("source", "target")
    }
    return {role: record for role, record in found.items() if record}


def check_unchanged(
    experiment: Experiment, now: dict[str, dict[str, Any]], folder: RunFolder
) -> None:
    """Checks that data of one's own are those that a run began with.

    Data of TFDS that are, or were, not prepared yet are compared by their name, classes
    and shape only; once they are read, they are checked again.

    Args:
        experiment: the settings.
        now: their `records`.
        folder: the run's, with `flags.json` or still empty.

    Raises:
        ValueError: naming the flag, and what has changed.
    """
    if not now:
        return
    before = (folder.read_flags() or {}).get("data") or {}
    for role, record in now.items():
        then = before.get(role, record)
        compared = record
        if not (_is_known(then) and _is_known(record)):
            compared = {name: record[name] for name in _BEFORE_READING}
        if all(then.get(name) == value for name, value in compared.items()):
            continue
        told = [
            f"{name} {then.get(name)}, now {value}"
            for name, value in compared.items()
            if name != "sha256" and then.get(name) != value
        ]
        raise ValueError(
            f"--{role}={getattr(experiment.data, role)}: the data have changed since "
            f"the run in {folder.path} began "
            f"({'; '.join(told) or 'as many images, other names or contents'}). What "
            "is trained there knows the earlier ones: restore them, or pass another "
            "--run_dir."
        )


def complete(experiment: Experiment, folder: RunFolder) -> None:
    """Completes the records of data that were not there before they were read.

    Args:
        experiment: the settings.
        folder: the run's.

    Raises:
        ValueError: as `check_unchanged`.
    """
    if not all(map(_is_known, folder.own_data.values())):
        folder.own_data = records(experiment)
        check_unchanged(experiment, folder.own_data, folder)


def _is_known(record):
    """Whether a record is of data that were there when it was made.

    What TFDS is still to download and prepare has a record without a folder.
    """
    return record.get("folder", "") is not None
