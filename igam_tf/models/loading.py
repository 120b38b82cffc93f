"""Loads a `.keras` file of this package: checked first, errors name the file."""

import os

import keras

from igam_tf import files
from igam_tf.errors import reason


def load_keras(path: str | os.PathLike) -> keras.Model:
    """The model of a `.keras` file, uncompiled.

    Args:
        path: the file.

    Returns:
        keras.Model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged, no `.keras` file, or inflates to far more than it
            holds (nothing is inflated then).
    """
    files.check_archive(path)
    try:
        return keras.models.load_model(path, compile=False)
    # Keras passes on whatever zipfile, json, h5py or a layer's constructor raises.
    except Exception as error:
        raise ValueError(
            f"{path} cannot be loaded ({type(error).__name__}: {reason(error)}). It is "
            "damaged, or needs layers that are not imported; restore it, or delete it "
            "to make it again."
        ) from error
