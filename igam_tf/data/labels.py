"""Accepts labels as data sets give them: as numbers, a column, or one-hot rows."""

import numpy as np


def class_numbers(labels: np.ndarray, num_classes: int | None = None) -> np.ndarray:
    """Labels as class numbers [n].

    Args:
        labels: integers [n], or [n, 1] as `keras.datasets.cifar10` gives them, or rows
            [n, classes] of any type that are exactly one-hot; an array or an eager
            tensor.
        num_classes: number of columns that one-hot rows need, or None for any.

    Returns:
        Array [n]: int32 of one-hot rows, else of the type of the labels.

    Raises:
        ValueError: if rows are not exactly one-hot, or have another number of columns.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2:
        return labels
    if labels.shape[1] == 1:
        return labels[:, 0]
    if num_classes is not None and labels.shape[1] != num_classes:
        raise ValueError(
            f"labels have shape {labels.shape}: expected class numbers [n], or one-hot "
            f"rows of {num_classes} columns, one a class."
        )
    wrong = ~(((labels == 0) | (labels == 1)).all(axis=1) & (labels.sum(axis=1) == 1))
    if wrong.any():
        row = np.array2string(labels[wrong][0][:5], precision=3)
        raise ValueError(
            f"labels have shape {labels.shape}, and {wrong.sum()} of the rows are not "
            f"exactly one-hot (the first begins {row}): expected class numbers [n] or "
            "rows of zeros with a single 1; smoothed and mixed labels are not "
            "supported."
        )
    return labels.argmax(axis=1).astype(np.int32)
