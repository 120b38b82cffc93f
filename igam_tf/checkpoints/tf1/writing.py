"""Keras weights under the names of the TF1 graphs, and the files that hold them."""

import pathlib
import tempfile
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from igam_tf import files
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.tf1.locate import STATE_FILE
from igam_tf.checkpoints.tf1.names import TARGET_HEAD, Row, model_rows
from igam_tf.checkpoints.tf1.networks import is_finetuned


def tensors_of(
    network: keras.Model, part: str | None, momentum_slots: bool
) -> dict[str, tf.Tensor | np.ndarray]:
    """The variables of a network under their TF1 names.

    Args:
        network: as `without_transform` gives it, with float32 weights.
        part: "teacher", "student", "discriminator", or None: to be inferred.
        momentum_slots: whether to add the optimizer's slots, as before the first step.

    Returns:
        Dict from TF1 name to value.

    Raises:
        CheckpointError: if it is no network of the TF1 code, or not of float32 weights.
    """
    tensors = {}
    for row in model_rows(network, part=part):
        variable = _variable(network, row)
        if variable.dtype != "float32":
            raise CheckpointError(
                f"weight {variable.path} has type {variable.dtype}; the TF1 graphs "
                "hold float32. Build the model with dtype float32 weights."
            )
        tensors[row.name] = variable.value
        if momentum_slots and row.trainable:
            tensors |= _slots(row, is_finetuned(network))
    return tensors


def _variable(network: keras.Model, row: Row) -> keras.Variable:
    return getattr(network.get_layer(row.layer), row.weight)


def _slots(row, finetuned):
    """The slots of a variable before the first step."""
    zeros = np.zeros(row.shape, np.float32)
    if not finetuned:
        return {f"{row.name}/Momentum": zeros}
    # The authors finetune the new logits by Adam and leave the rest of the teacher.
    if not row.name.startswith(TARGET_HEAD):
        return {}
    powers = {"beta1_power": np.float32(0.9), "beta2_power": np.float32(0.999)}
    return {f"{row.name}/Adam": zeros, f"{row.name}/Adam_1": zeros} | powers


def source_head(
    networks: dict[str | None, keras.Model], source_teacher: keras.Model
) -> dict[str, tf.Tensor | np.ndarray]:
    """The logits of the teacher that a finetuned one was made from.

    Args:
        networks: those of the checkpoint, one of them a finetuned teacher.
        source_teacher: the teacher before finetuning.

    Returns:
        Dict from TF1 name to value.

    Raises:
        ValueError: if no network is a finetuned teacher, or not one of this teacher.
    """
    teacher = next(filter(is_finetuned, networks.values()), None)
    if teacher is None:
        raise ValueError(
            "source_teacher was given, and no model is a finetuned teacher as "
            "igam_tf.finetune returns it: leave it out."
        )
    tensors = tensors_of(source_teacher, "teacher", momentum_slots=False)
    for row in model_rows(teacher):
        if not row.trainable or row.name.startswith(TARGET_HEAD):
            continue  # The authors' finetuning moves the statistics.
        value = tensors.get(row.name)
        if value is None or not np.array_equal(_variable(teacher, row), value):
            raise ValueError(
                f"source_teacher {source_teacher.name!r} is not the teacher that was "
                f"finetuned: their {row.name!r} differ. Pass the right one."
            )
    return {name: tensors[name] for name in ("logit/DW", "logit/biases")}


def write(
    tensors: Mapping[str, tf.Tensor | np.ndarray], folder: pathlib.Path, base: str
) -> str:
    """Writes a checkpoint and its state file.

    Args:
        tensors: dict from TF1 name to value.
        folder: made if need be.
        base: name of the checkpoint's files, without suffix.

    Returns:
        The checkpoint's prefix.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Written under another name and moved, so that a crash leaves no half checkpoint.
    with tempfile.TemporaryDirectory(prefix=files.FOLDER_PREFIX, dir=folder) as made:
        temporary = pathlib.Path(made)
        tf.raw_ops.SaveV2(
            prefix=str(temporary / base),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
        (temporary / STATE_FILE).write_text(
            f'model_checkpoint_path: "{base}"\nall_model_checkpoint_paths: "{base}"\n'
        )
        # The index last but for the state file: without it there is no checkpoint.
        for name in (f"{base}.data-00000-of-00001", f"{base}.index", STATE_FILE):
            files.publish(temporary / name, folder / name)
    return str(folder / base)
