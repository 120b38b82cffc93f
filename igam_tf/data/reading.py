"""Reads data sets by name or path: `read` into memory, `load` as batches."""

import os
import typing

import numpy as np
import tensorflow as tf

from igam_tf.data import batches, registry, task
from igam_tf.data.own import opening
from igam_tf.data.own.options import Options


def read(
    name: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    *,
    train_examples: int | None = None,
    test_examples: int | None = None,
    download: bool = True,
    progress: bool = True,
    **own: typing.Any,
) -> task.Task:
    """Reads a data set into memory, decoding every image once; large ones are streamed.

    Args:
        name: a name of `DATASETS`, such as "cifar10". Or data of one's own: a folder
            with one sub-folder a class (inside of train/ and test/, or of none), an
            .npz, a pair "images.npy,labels.npy", a .csv, .tsv or .parquet table of
            paths and labels, or "tfds:NAME" for a data set of TFDS; see docs/data.md.
        data_dir: folder with TFDS-prepared data (or, for Tiny-ImageNet, its zip or
            folder); None for TFDS' own (`~/tensorflow_datasets` or TFDS_DATA_DIR).
            Prepared data is used as it is, without touching the network.
        train_examples: read only the first so many training images (all, if there are
            fewer); None for all.
        test_examples: the same for the test images.
        download: whether to download what is not prepared.
        progress: whether to show progress bars.
        **own: of data of one's own, `igam_tf.data.own.options.Options`: image_size=96
            (or "96x128"), test_fraction=0.2, split_seed=0, skip_unreadable=False,
            augmentation="auto", stream="auto", crop_area=0.08, center_crop=None.

    Returns:
        Task: its `train_total` and `test_total` tell a cut one from a whole one.
        Streamed images are not in it, but what finds and decodes them.

    Raises:
        ValueError: unknown name, a cut below 1, damaged data, or data that is not what
            the registry says.
        FileNotFoundError: nothing prepared, and downloading not allowed or not
            possible; says what to put where.
        OSError: no room or no right to write the prepared data.
    """
    name = os.fspath(name)
    info = registry.find(name, data_dir=data_dir, **own)
    counts = {"train_examples": train_examples, "test_examples": test_examples}
    for argument, value in counts.items():
        if value is not None:
            batches.check_count(argument, value)
    options: dict[str, typing.Any] = {
        **counts,
        "download": download,
        "progress": progress,
    }
    if registry.is_own(name):
        opened = opening.opened(name, data_dir, Options(**own))
        read_task = opened.read(**options)
    else:
        read_task = registry.reader_of(name)(info, data_dir, **options)
    for split in ("train", "test"):
        _check_split(info, split, getattr(read_task, split))
    return read_task


def load(
    name: str | os.PathLike,
    data_dir: str | os.PathLike | None = None,
    *,
    batch_size: int = 128,
    augmentation: registry.Augmentation | str | None = None,
    seed: int = 0,
    train_examples: int | None = None,
    test_examples: int | None = None,
    download: bool = True,
    **own: typing.Any,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Reads a data set as two tf.data.Datasets, ready for `model.fit`.

    `train` is one epoch, shuffled and augmented anew each time it is iterated; it
    knows its length, so `fit` needs no `steps_per_epoch`. A run that must resume
    exactly uses `training_batches` instead.

    Args:
        name: as in `read`, like all arguments not listed here.
        batch_size: images a batch.
        augmentation: `Augmentation` of the training images; None for the data set's
            own, which `DATASETS` shows; of one's own data also a name, as in
            `igam_tf.data.own.options.Options`.
        seed: of shuffling and augmentation, together with TensorFlow's global seed.

    Returns:
        (train, test): batches of images float32 [b, height, width, channels] in
        [0, 1] and labels int32 [b].

    Raises:
        ValueError, FileNotFoundError, OSError: as `read`.
    """
    batches.check_count("batch_size", batch_size)
    if isinstance(augmentation, str):
        own["augmentation"] = augmentation
    if not isinstance(augmentation, registry.Augmentation):
        augmentation = registry.find(name, data_dir=data_dir, **own).augmentation
    read_task = read(
        name,
        data_dir,
        train_examples=train_examples,
        test_examples=test_examples,
        download=download,
        **own,
    )
    train = batches.reshuffled_batches(
        read_task.train, batch_size, augmentation=augmentation, seed=seed
    )
    return train, batches.evaluation_batches(read_task.test, batch_size)


def _check_split(info, name, split):
    where = f"{info.name}, {name} split"
    if split.images.shape[1:] != info.image_shape:
        raise ValueError(
            f"{where}: images are {split.images.shape[1:]}; expected "
            f"{info.image_shape}, as registered."
        )
    try:
        if split.is_streamed:
            return  # Each label is looked at with its image.
        if split.images.dtype != np.uint8:
            task.check_images(split.images)
        task.check_labels(split.labels, info.num_classes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
