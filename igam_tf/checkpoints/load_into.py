"""Fills a Keras model of one's own from any TensorFlow 1 checkpoint, by a table."""

import os
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.tf1.bundle import Bundle
from igam_tf.checkpoints.tf1.locate import located
from igam_tf.checkpoints.tf1.recognition import is_slot
from igam_tf.checkpoints.values import as_weights
from igam_tf.models.copying import derive_state
from igam_tf.models.freezing import leaves

_LISTED = 12
# (out, in) of other libraries, and (out, in, height, width), as Keras has them.
_TRANSPOSES = {2: (1, 0), 4: (2, 3, 1, 0)}


def load_into(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    names: Mapping[str, str | tuple[str, Sequence[int]]],
) -> None:
    """Loads any TensorFlow 1 checkpoint into a model: all of it or, on error, nothing.

        load_into(model, "models/theirs", names={
            "conv1/weights": "conv1/kernel",
            "conv1/biases": "conv1/bias",
            "fc/weights": ("logits/kernel", (1, 0)),  # stored as (out, in)
        })

    Args:
        model: built keras.Model; `[weight.path for weight in model.weights]` shows the
            paths of its weights. The name of the model itself is left out.
        path: a folder, prefix, `.index` file or zip, as for `load_madry`;
            `igam_tf.checkpoints.describe(path).other` shows the names in it.
        names: dict from the name of a variable to the path of the weight that takes its
            values, or to a tuple (path, axes): axes as of `np.transpose`. Every weight
            of floating numbers has to be named; what else the checkpoint has is not
            read.

    Raises:
        CheckpointError: if the checkpoint is damaged, a variable is not in it or does
            not have the shape of its weight (the transpose that has it is named), a
            weight is left out or named twice; the message lists what is missing on
            either side. If a variable holds NaN, no floating numbers, or numbers that
            are too large for the type of its weight.
        ValueError: if the model is not built, or weights of it share a path.
        FileNotFoundError: if the checkpoint, or one of its files, is missing.
    """
    weights = _by_path(model)
    table = {name: _target(name, target) for name, target in names.items()}
    with located(path) as (prefix, shown):
        bundle = Bundle(prefix, shown)
        stored = {name: entry.shape for name, entry in bundle.entries.items()}
        _check_names(table, stored, weights, shown)
        _check_shapes(table, stored, weights, shown)
        values = {
            target: _turned(
                as_weights(bundle.read(name), name, shown, weights[target].dtype), axes
            )
            for name, (target, axes) in table.items()
        }
    for target, value in values.items():
        weights[target].assign(value)
    for layer in leaves(model):
        derive_state(layer)


def _by_path(model):
    # Counters and seeds are whole numbers, and no matter of a checkpoint.
    floating = [w for w in model.weights if "float" in str(w.dtype)]
    # The paths of a Sequential model begin with its name, which Keras numbers.
    weights = {w.path.removeprefix(f"{model.name}/"): w for w in floating}
    if not weights or len(weights) < len(floating):
        raise ValueError(
            f"model {model.name!r} has {len(floating)} weights of {len(weights)} "
            "different paths: expected a built model whose layers have names of their "
            "own; call it once, and name layers by name=."
        )
    return weights


def _target(name, target):
    """(path of the weight, axes or None) of an entry of the table."""
    if isinstance(target, str):
        return target, None
    try:
        weight, axes = target
        axes = tuple(int(axis) for axis in axes)
    except (TypeError, ValueError):
        axes = ()
    if not axes or sorted(axes) != list(range(len(axes))):
        raise CheckpointError(
            f"names[{name!r}] is {target!r}: expected the path of a weight, or a tuple "
            "(path, axes) with axes such as (1, 0)."
        )
    return weight, axes


def _check_names(table, stored, weights, shown):
    targets = [target for target, _ in table.values()]
    problems = {
        f"not in {shown}": [name for name in table if name not in stored],
        "no weights of the model": [t for t in targets if t not in weights],
        "named twice": sorted({t for t in targets if targets.count(t) > 1}),
        "weights of the model without a variable": [
            _shape_of(t, weights[t].shape) for t in weights if t not in targets
        ],
    }
    problems = {what: names for what, names in problems.items() if names}
    if not problems:
        return
    unused = [
        _shape_of(name, shape)
        for name, shape in stored.items()
        if name not in table and not is_slot(name)
    ]
    lines = [f"{what}: {shortened(names, _LISTED)}" for what, names in problems.items()]
    lines.append(f"unused in {shown}: {shortened(unused, _LISTED) or 'nothing'}")
    raise CheckpointError(f"names does not fit. {'; '.join(lines)}.")


def _check_shapes(table, stored, weights, shown):
    problems = []
    for name, (target, axes) in table.items():
        have, want = tuple(stored[name]), tuple(weights[target].shape)
        found = have
        if axes is not None:
            if len(axes) != len(have):
                problems.append(f"{_shape_of(name, have)} has no axes {axes}")
                continue
            found = tuple(have[axis] for axis in axes)
        if found != want:
            problems.append(
                f"{_shape_of(name, found)} for {_shape_of(target, want)}"
                + _way_out(target, have, want)
            )
    if problems:
        raise CheckpointError(
            f"{shown} holds other shapes than the model: {shortened(problems, 4)}."
        )


def _way_out(target, have, want):
    """Names the transpose that fits, if there is one."""
    axes = _TRANSPOSES.get(len(have))
    if axes is None or tuple(have[axis] for axis in axes) != want:
        return ""
    return f" (its transpose fits: pass ({target!r}, {axes}))"


def _turned(value, axes):
    return value if axes is None else np.transpose(value, axes)


def _shape_of(name, shape):
    return f"{name} {tuple(shape)}"
