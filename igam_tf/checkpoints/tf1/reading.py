"""From the variables of a TF1 checkpoint to the weights of a Keras model."""

import os
from collections.abc import Sequence

import keras
import numpy as np

from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.tf1.bundle import Bundle
from igam_tf.checkpoints.tf1.locate import located
from igam_tf.checkpoints.tf1.names import Row
from igam_tf.checkpoints.tf1.parts import Part
from igam_tf.checkpoints.tf1.recognition import without_a_place
from igam_tf.checkpoints.values import FLOATS, as_weights


def read_weights(
    bundle: Bundle, rows: Sequence[Row], moving_statistics: str | os.PathLike | None
) -> dict[str, np.ndarray]:
    """Reads the weights of a network, all of them, before any model is touched.

    Args:
        bundle: the opened checkpoint.
        rows: the network's variables.
        moving_statistics: as in `igam_tf.checkpoints.load_madry`.

    Returns:
        Dict from the variable's name to float32 weights, all finite.

    Raises:
        CheckpointError: if a variable is missing, misshapen, damaged or not finite.
    """
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
    if (
        without
        and moving_statistics is not None
        and os.fspath(moving_statistics) != "initial"
    ):
        with located(moving_statistics) as (prefix, shown):
            values.update(_statistics(Bundle(prefix, shown), rows, values))
    return values


def _statistics(bundle, rows, values):
    """The moving statistics of another checkpoint of the same network."""
    statistics = read_weights(bundle, [row for row in rows if not row.trainable], None)
    stem = rows[0].name
    same = read_weights(bundle, rows[:1], None)[stem]
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
            "`igam-tf checkpoints describe PATH` shows what it holds."
        )
    for row in rows:
        dtype = bundle.entries[row.name].dtype
        if dtype not in FLOATS:
            raise CheckpointError(
                f"{bundle.shown}: variable {row.name!r} has type {dtype}; weights are "
                "floating. It is another network's checkpoint, or a damaged one."
            )


def check_nothing_else(bundle: Bundle, part: Part) -> None:
    """Raises a CheckpointError if a network has weights that its architecture has not.

    A network whose convolutions have biases, for one, would be loaded without them.

    Args:
        bundle: the opened checkpoint.
        part: its network.
    """
    others = without_a_place(bundle, part)
    if others:
        raise CheckpointError(
            f"{bundle.shown}: its {part.name} is another network than the original "
            f"code's, which has no place for {shortened(others)}: without these it "
            "would compute something else. Build it in Keras, and fill it by "
            "igam_tf.checkpoints.load_into."
        )


def check_model(model: keras.Model, rows: Sequence[Row], shown: str) -> None:
    """Raises a CheckpointError unless the rows are the weights of the model."""
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


def assign(
    model: keras.Model, rows: Sequence[Row], values: dict[str, np.ndarray]
) -> None:
    """Moves values into a model; the dict is empty afterwards."""
    layers = {layer.name: layer for layer in model.layers}
    for row in rows:
        # Popping frees each array as soon as the model has it.
        value = values.pop(row.name, None)
        if value is not None:
            getattr(layers[row.layer], row.weight).assign(value)
