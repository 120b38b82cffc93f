"""Loads TF1 checkpoints and Keras' files by one function."""

import os
import pathlib

import keras

from igam_tf.checkpoints.describe import describe_bundle
from igam_tf.checkpoints.keras_files import load_keras
from igam_tf.checkpoints.tf1.bundle import Bundle
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIXES, located
from igam_tf.checkpoints.tf1.reading import (
    assign,
    check_model,
    check_nothing_else,
    read_weights,
)
from igam_tf.models.normalization import check_normalization


def load(path: str | os.PathLike, **options) -> keras.Model:
    """Loads a network from a TF1 checkpoint, or a file of a whole Keras model.

    Networks that take other images, or end in a softmax: `load_classifier`.

    Args:
        path: what `load_madry` takes, or a `.keras`, `.h5` or `.hdf5` file.
        **options: those of `load_madry`; a file of Keras takes none of them.

    Returns:
        keras.Model from images (batch, height, width, channels) in [0, 1] to logits.

    Raises:
        CheckpointError: if the file is damaged, of another architecture, or holds NaN.
        FileNotFoundError: if it is missing.
        ValueError: if an option does not fit the file.
    """
    if pathlib.Path(path).suffix not in KERAS_SUFFIXES:
        return load_madry(path, **options)
    given = sorted(name for name, value in options.items() if value is not None)
    if given:
        raise ValueError(
            f"{', '.join(given)}: these options choose from a TF1 checkpoint; {path} "
            "is a file of Keras, which is loaded as it is. Leave them out."
        )
    return load_keras(pathlib.Path(path).expanduser())


def load_madry(
    path: str | os.PathLike,
    *,
    part: str | None = None,
    head: str | None = None,
    normalization: str | None = None,
    image_shape: tuple[int, int, int] | None = None,
    moving_statistics: str | os.PathLike | None = None,
    name: str | None = None,
) -> keras.Model:
    """Loads a network from a TF1 checkpoint of MadryLab or of the IGAM authors.

    The architecture is read off the variables' shapes; optimizer slots, `global_step`
    and `.meta` files are ignored, and nothing in the folder is executed. Other floating
    types than float32 are rounded to it.

    Args:
        path: a folder (with or without its `checkpoint` state file; or with one such
            folder inside, as zips unpack), a prefix, an `.index` file, or the
            downloaded zip.
        part: "teacher", "student" or "discriminator", for a file that holds several.
        head: "source" or "target" of a finetuned teacher; default: "target" where it
            is.
        normalization: of the input of a Wide-ResNet, one of
            `igam_tf.models.NORMALIZATIONS`; default: what the original graph used
            (`describe(path)` shows it).
        image_shape: (height, width, channels); default: 32x32, or 64x64 for networks
            of 200 classes.
        moving_statistics: what to do for a file without batch statistics (the authors'
            finetuned teachers): the path of a checkpoint of the same network that has
            them (the one it was finetuned from), or "initial" for means of 0 and
            variances of 1, right only if its batch norm runs in training mode.
        name: the model's name.

    Returns:
        keras.Model from images in [0, 1] to logits.

    Raises:
        CheckpointError: if the checkpoint is damaged or foreign; the message names the
            file and the variables that are missing or misshapen.
        FileNotFoundError: if it, or one of its files, is missing.
        ValueError: if an argument does not fit the checkpoint.
    """
    if normalization is not None:
        check_normalization(normalization)
    with located(path) as (prefix, shown):
        bundle = Bundle(prefix, shown)
        found = describe_bundle(bundle).part(part)
        chosen = found.viewed(normalization=normalization, image_shape=image_shape)
        check_nothing_else(bundle, found)
        rows = chosen.rows(head)
        values = read_weights(bundle, rows, moving_statistics)
    # Drawing kernels, to overwrite them, would take most of the time.
    kernels = {r.layer: values.pop(r.name) for r in rows if r.weight == "kernel"}
    model = chosen.build(head, name=name or chosen.name, kernels=kernels)
    del kernels
    assign(model, rows, values)
    return model


def load_weights(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    part: str | None = None,
    head: str | None = None,
    moving_statistics: str | os.PathLike | None = None,
) -> None:
    """Loads a TF1 checkpoint into an existing model: all of it or, on error, nothing.

    Args:
        model: network of `igam_tf.models` of the checkpoint's architecture.
        path, part, head, moving_statistics: as in `load_madry`.

    Raises:
        CheckpointError, FileNotFoundError, ValueError: as `load_madry`; the model is
            untouched then.
    """
    with located(path) as (prefix, shown):
        bundle = Bundle(prefix, shown)
        chosen = describe_bundle(bundle).part(part)
        check_nothing_else(bundle, chosen)
        rows = chosen.rows(head)
        check_model(model, rows, shown)
        values = read_weights(bundle, rows, moving_statistics)
    assign(model, rows, values)
