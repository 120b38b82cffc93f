"""Loading: TF1 checkpoints and `.keras` files through one door."""

import os
import pathlib

import numpy as np

from igam_tf.checkpoints.bundle import FLOATS, Bundle, as_weights
from igam_tf.checkpoints.describe import describe_bundle
from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.keras_files import load_keras
from igam_tf.checkpoints.locate import KERAS_SUFFIX, located
from igam_tf.models import NORMALIZATIONS


def load(path, **options):
    """Loads a network from a TF1 checkpoint or a `.keras` file.

    Args:
        path: what `load_madry` takes, or a `.keras` file.
        **options: those of `load_madry`; a `.keras` file takes none of them.

    Returns:
        keras.Model from images (batch, height, width, channels) in [0, 1] to logits.

    Raises:
        CheckpointError: if the file is damaged, of another architecture, or holds NaN.
        FileNotFoundError: if it is missing.
        ValueError: if an option does not fit the file.
    """
    if pathlib.Path(path).suffix != KERAS_SUFFIX:
        return load_madry(path, **options)
    given = sorted(name for name, value in options.items() if value is not None)
    if given:
        raise ValueError(
            f"{', '.join(given)}: these options choose from a TF1 checkpoint; {path} "
            "is a .keras file, which is loaded as it is. Leave them out."
        )
    return load_keras(pathlib.Path(path).expanduser())


def load_madry(
    path,
    *,
    part=None,
    head=None,
    normalization=None,
    image_shape=None,
    moving_statistics=None,
    name=None,
):
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
        normalization: of the input, one of `igam_tf.models.NORMALIZATIONS`; default:
            what the original graph used (`describe(path)` shows it).
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
    if normalization is not None and normalization not in NORMALIZATIONS:
        raise ValueError(
            f"normalization={normalization!r}: expected one of {tuple(NORMALIZATIONS)}."
        )
    with located(path) as (prefix, shown):
        bundle = Bundle(prefix, shown)
        chosen = describe_bundle(bundle).part(part).viewed(
            normalization=normalization, image_shape=image_shape
        )
        rows = chosen.rows(head)
        values = _read(bundle, rows, moving_statistics)
    # Drawing kernels, to overwrite them, would take most of the time.
    kernels = {r.layer: values.pop(r.name) for r in rows if r.weight == "kernel"}
    model = chosen.build(head, name=name or chosen.name, kernels=kernels)
    del kernels
    _assign(model, rows, values)
    return model


def load_weights(model, path, *, part=None, head=None, moving_statistics=None):
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
        rows = describe_bundle(bundle).part(part).rows(head)
        _check_model(model, rows, shown)
        values = _read(bundle, rows, moving_statistics)
    _assign(model, rows, values)


def _read(bundle, rows, moving_statistics):
    """dict of name -> weights, complete and finite, before any model is touched."""
    statistics = {row.name for row in rows if not row.trainable}
    without = statistics and not statistics & bundle.entries.keys()
    if without and moving_statistics is None:
        raise CheckpointError(
            f"{bundle.shown} holds no batch statistics (moving_mean, moving_variance): "
            "its saver kept trainable variables only, as the authors' for finetuned "
            "teachers. Pass moving_statistics=PATH of the checkpoint that it was "
            "finetuned from, or moving_statistics='initial' if the network's batch "
            "norm will run in training mode only."
        )
    stored = [row for row in rows if row.trainable or not without]
    _check_rows(bundle, stored)
    values = {
        row.name: as_weights(bundle.read(row.name), row.name, bundle.shown)
        for row in stored
    }
    if without and os.fspath(moving_statistics) != "initial":
        with located(moving_statistics) as (prefix, shown):
            values.update(_statistics(Bundle(prefix, shown), rows, values))
    return values


def _statistics(bundle, rows, values):
    """The moving statistics of another checkpoint of the same network."""
    statistics = _read(bundle, [row for row in rows if not row.trainable], None)
    stem = rows[0].name
    same = _read(bundle, rows[:1], None)[stem]
    # Finetuning the logits leaves the rest alone, so the first kernel tells.
    if not np.array_equal(same, values[stem]):
        raise CheckpointError(
            f"moving_statistics={bundle.shown} is not the network that this one was "
            f"finetuned from: their {stem!r} differ. Pass the right one."
        )
    return statistics


def _check_rows(bundle, rows):
    """Compares names, shapes and types with the index, before reading any weight."""
    problems = _misfits(
        {row.name: row.shape for row in rows},
        {name: entry.shape for name, entry in bundle.entries.items()},
    )
    if problems:
        raise CheckpointError(
            f"{bundle.shown} does not hold all of its network: {problems}. "
            "`python -m igam_tf.checkpoints describe PATH` shows what it holds."
        )
    for row in rows:
        dtype = bundle.entries[row.name].dtype
        if dtype not in FLOATS:
            raise CheckpointError(
                f"{bundle.shown}: variable {row.name!r} has type {dtype}; weights are "
                "floating. It is another network's checkpoint, or a damaged one."
            )


def _check_model(model, rows, shown):
    problems = _misfits(
        {f"{row.layer}/{row.weight}": row.shape for row in rows},
        {
            f"{layer.name}/{weight.name}": tuple(weight.shape)
            for layer in model.layers
            for weight in layer.weights
        },
    )
    if problems:
        raise CheckpointError(
            f"model {model.name!r} is not of the architecture of {shown}: {problems}. "
            "load_madry(path) builds the right one."
        )


def _misfits(expected, found):
    """What is missing or misshapen, as text; "" if all fits."""
    missing = [name for name in expected if name not in found]
    misshapen = [
        f"{name} has shape {found[name]} where {shape} was expected"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    problems = [f"missing: {shortened(missing)}"] if missing else []
    problems += [f"misshapen: {shortened(misshapen, 4)}"] if misshapen else []
    return "; ".join(problems)


def _assign(model, rows, values):
    layers = {layer.name: layer for layer in model.layers}
    for row in rows:
        # Popping frees each array as soon as the model has it.
        value = values.pop(row.name, None)
        if value is not None:
            getattr(layers[row.layer], row.weight).assign(value)
