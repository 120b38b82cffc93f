"""Reads data sets by name: `read` into memory, `load` as batches for a notebook."""

import os

import numpy as np
import tensorflow as tf

from igam_tf.data import batches, registry, task


def read(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    train_examples: int | None = None,
    test_examples: int | None = None,
    download: bool = True,
    progress: bool = True,
) -> task.Task:
    """Reads a data set into memory, decoding every image once.

    Args:
        name: a name of `DATASETS`, such as "cifar10".
        data_dir: folder with TFDS-prepared data (or, for Tiny-ImageNet, its zip or
            folder); None for TFDS' own (`~/tensorflow_datasets` or TFDS_DATA_DIR).
            Prepared data is used as it is, without touching the network.
        train_examples: read only the first so many training images (all, if there are
            fewer); None for all.
        test_examples: the same for the test images.
        download: whether to download what is not prepared.
        progress: whether to show progress bars.

    Returns:
        Task: its `train_total` and `test_total` tell a cut one from a whole one.

    Raises:
        ValueError: unknown name, a cut below 1, damaged data, or data that is not what
            the registry says.
        FileNotFoundError: nothing prepared, and downloading not allowed or not
            possible; says what to put where.
        OSError: no room or no right to write the prepared data.
    """
    info = registry.find(name)
    counts = {"train_examples": train_examples, "test_examples": test_examples}
    for argument, value in counts.items():
        if value is not None:
            batches.check_count(argument, value)
    read_task = registry.reader_of(name)(
        info, data_dir, **counts, download=download, progress=progress
    )
    for split in ("train", "test"):
        _check_split(info, split, getattr(read_task, split))
    return read_task


def load(
    name: str,
    data_dir: str | os.PathLike | None = None,
    *,
    batch_size: int = 128,
    augmentation: registry.Augmentation | None = None,
    seed: int = 0,
    train_examples: int | None = None,
    test_examples: int | None = None,
    download: bool = True,
) -> tuple[tf.data.Dataset, tf.data.Dataset]:
    """Reads a data set as two tf.data.Datasets, ready for `model.fit`.

    `train` is one epoch, shuffled and augmented anew each time it is iterated; it
    knows its length, so `fit` needs no `steps_per_epoch`. A run that must resume
    exactly uses `training_batches` instead.

    Args:
        name: as in `read`, like all arguments not listed here.
        batch_size: images a batch.
        augmentation: `Augmentation` of the training images; None for the data set's
            own, which `DATASETS` shows.
        seed: of shuffling and augmentation, together with TensorFlow's global seed.

    Returns:
        (train, test): batches of images float32 [b, height, width, channels] in
        [0, 1] and labels int32 [b].

    Raises:
        ValueError, FileNotFoundError, OSError: as `read`.
    """
    batches.check_count("batch_size", batch_size)
    if augmentation is None:
        augmentation = registry.find(name).augmentation
    read_task = read(
        name,
        data_dir,
        train_examples=train_examples,
        test_examples=test_examples,
        download=download,
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
        if split.images.dtype != np.uint8:
            task.check_images(split.images)
        task.check_labels(split.labels, info.num_classes)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
