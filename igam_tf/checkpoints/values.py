"""Checks that stored values can be weights: floating point, and all finite."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from igam_tf.checkpoints.errors import CheckpointError

FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})


def as_weights(
    value: np.ndarray,
    name: str,
    path: str | os.PathLike,
    dtype: Any = "float32",
) -> np.ndarray:
    """A stored value as weights of a network.

    Args:
        value: np.ndarray read from a checkpoint.
        name: its name, for the message.
        path: the checkpoint, for the message.
        dtype: type of the network's variable.

    Returns:
        np.ndarray of `dtype`. Other floating types are rounded to it, as float64
        weights of a TF1 graph would be by a float32 graph's restore.

    Raises:
        CheckpointError: if the value is not floating, holds NaN or infinity, or numbers
            beyond the largest of `dtype`.
    """
    stored = tf.as_dtype(value.dtype).name
    if stored not in FLOATS:
        raise CheckpointError(
            f"{path}: variable {name!r} has type {stored}; weights are floating. It is "
            "another network's checkpoint."
        )
    # NumPy alone does not know bfloat16 by its name.
    wanted = tf.as_dtype(dtype)
    with np.errstate(over="ignore"):
        weights = np.asarray(value, dtype=wanted.as_numpy_dtype)
    if num_bad := _num_not_finite(value):
        raise CheckpointError(
            f"{path}: variable {name!r} holds {num_bad} values that are NaN or "
            f"infinite (of {weights.size}). Take an earlier checkpoint of that "
            "training."
        )
    if num_bad := _num_not_finite(weights):
        largest = np.max(np.abs(value.astype(np.float64)))
        raise CheckpointError(
            f"{path}: variable {name!r} holds {num_bad} values (of {weights.size}) "
            f"beyond {float(wanted.max):.6g}, the largest of {wanted.name}, such as "
            f"{largest:.6g}: they would become infinite. Load it into a network whose "
            f"variables are float32{' (or float64)' if wanted == tf.float32 else ''}."
        )
    return weights


def _num_not_finite(values):
    return values.size - np.count_nonzero(np.isfinite(values))
