"""Converts checkpoints to `.keras` files and verifies the result."""

import os
import pathlib

import keras
import numpy as np

from igam_tf import files
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.load import load
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIX

_NUM_IMAGES = 4
# Height and width where the network takes any.
_ANY_SIZE = 32


def convert(source: str | os.PathLike, target: str | os.PathLike, **options) -> float:
    """Converts a checkpoint to a `.keras` file and loads that file again.

    Args:
        source: what `load` takes.
        target: path of the `.keras` file to write.
        **options: those of `load_madry`.

    Returns:
        float: the largest absolute difference between the logits before and after, on
        random images.

    Raises:
        ValueError: if `target` is no `.keras` path, or an option does not fit.
        OSError: if `target` is a folder, or its folder does not exist.
        CheckpointError: if `source` cannot be loaded, or the file written gives other
            logits (it is removed then).
    """
    target = pathlib.Path(target).expanduser()
    if target.suffix != KERAS_SUFFIX:
        raise ValueError(f"{target}: expected a path that ends in {KERAS_SUFFIX}.")
    if target.is_dir():
        raise IsADirectoryError(
            f"{target} is a folder: expected a path for the {KERAS_SUFFIX} file, such "
            f"as {target / ('model' + KERAS_SUFFIX)}."
        )
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(f"{target.parent} is no folder: make it first.")
    model = load(source, **options)
    with files.replacing(target) as temporary:
        model.save(temporary)
        difference = largest_difference(model, load(temporary))
        if difference != 0.0:
            raise CheckpointError(
                f"{target} was not written: its logits differ from those of {source} "
                f"by {difference:.3g}."
            )
    return difference


def largest_difference(a: keras.Model, b: keras.Model) -> float:
    """Largest absolute difference of two models' logits on the same random images."""
    shape = [_ANY_SIZE if size is None else size for size in a.input_shape[1:]]
    images = np.random.default_rng(0).random((_NUM_IMAGES, *shape))
    images = images.astype("float32")
    return float(np.max(np.abs(np.asarray(a(images)) - np.asarray(b(images)))))
