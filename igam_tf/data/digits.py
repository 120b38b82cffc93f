"""scikit-learn's digits: real images that need no network and no folder."""

import os

import numpy as np

from igam_tf.data import task
from igam_tf.data.registry import DatasetInfo

_TEST_SHARE = 0.3
_SPLIT_SEED = 0
_LARGEST_VALUE = 16


def read(
    info: DatasetInfo,
    data_dir: str | os.PathLike | None,
    *,
    train_examples: int | None,
    test_examples: int | None,
    download: bool,
    progress: bool,
) -> task.Task:
    """Reads the 1,797 8x8 digits, as one of three tasks.

    `digits` has ten classes, `digits_parity` two: even (0) and odd (1). `digits_0_to_7`
    has the images of eight digits only, 1,009 to train on and 434 to test on.

    All share one 70/30 split, stratified by digit, that never changes: a model of one
    task has not seen the test images of another.

    Args:
        info: `DatasetInfo` of one of the three.
        data_dir: not used, the images come with scikit-learn.
        train_examples: the first so many training images; None for all.
        test_examples: the first so many test images; None for all.
        download: not used.
        progress: not used.

    Returns:
        Task with float32 images [n, 8, 8, 1] in [0, 1] (17 grey levels).

    Source: `sklearn.datasets.load_digits` (UCI optical recognition of digits).
    """
    del data_dir, download, progress
    # Imported here: only this data set needs scikit-learn.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images[..., None] / _LARGEST_VALUE).astype(np.float32)
    labels = digits.target.astype(np.int32)
    train, test = train_test_split(
        np.arange(len(labels)),
        test_size=_TEST_SHARE,
        stratify=labels,
        random_state=_SPLIT_SEED,
    )
    if info.num_classes == 2:
        labels = labels % 2
    train, test = (part[labels[part] < info.num_classes] for part in (train, test))

    def cut(indices, examples):
        return task.Split(images[indices[:examples]], labels[indices[:examples]])

    return task.Task(
        name=info.name,
        num_classes=info.num_classes,
        image_shape=info.image_shape,
        train=cut(train, train_examples),
        test=cut(test, test_examples),
        train_total=len(train),
        test_total=len(test),
    )
