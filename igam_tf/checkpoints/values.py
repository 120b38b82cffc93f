"""Checks that stored values can be weights: floating point, and all finite."""

import os

import numpy as np
import tensorflow as tf

from igam_tf.checkpoints.errors import CheckpointError

FLOATS = frozenset({"float32", "float64", "float16", "bfloat16"})


def as_weights(
    value: np.ndarray,
    name: str,
    path: str | os.PathLike,
    dtype: str | np.dtype = "float32",
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
        CheckpointError: if the value is not floating, or holds NaN or infinity, before
            or after rounding.
    """
    stored = tf.as_dtype(value.dtype).name
    if stored not in FLOATS:
        raise CheckpointError(
            f"{path}: variable {name!r} has type {stored}; weights are floating. It is "
            "another network's checkpoint."
        )
    with np.errstate(over="ignore"):
        weights = np.asarray(value, dtype=dtype)
    num_bad = weights.size - np.count_nonzero(np.isfinite(weights))
    if num_bad:
        raise CheckpointError(
            f"{path}: variable {name!r} holds {num_bad} values that are NaN or "
            f"infinite (of {weights.size}). Take an earlier checkpoint of that "
            "training."
        )
    return weights
