"""Writing TF1 checkpoints that the original graphs restore."""

import os
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.locate import STATE_FILE
from igam_tf.checkpoints.names import model_rows


def save_tf1(model, path, *, part="teacher", step=0, momentum_slots=False):
    """Writes a network as a TF1 checkpoint with the original code's variable names.

    `load_madry(path)` gives it back bit for bit. The names are those of MadryLab's
    nets, or of the student or the discriminator of the authors' IGAM graph.

    Args:
        model: network of `igam_tf.models` with float32 weights.
        path: the folder to write into, made if need be. It gets
            `checkpoint-<step>.index`, its data file, and the `checkpoint` state file.
        part: "teacher", or "student" for the names under `classifier/`; a
            discriminator's names are its own.
        step: `global_step`, int64, which the original evaluation graphs restore too.
        momentum_slots: whether to add zero `Momentum` slots, without which the
            original training graphs do not restore.

    Returns:
        str: the checkpoint's prefix.

    Raises:
        CheckpointError: if the model is no network of the TF1 code.
        ValueError: if `part` is unknown.
        OSError: if the folder cannot be written.
    """
    if part not in ("teacher", "student"):
        raise ValueError(f"part={part!r}: expected 'teacher' or 'student'.")
    tensors = _tensors(model, part, momentum_slots)
    tensors["global_step"] = np.int64(step)
    folder = pathlib.Path(path).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    base = f"checkpoint-{step}"
    # Written under another name and moved, so that a crash leaves no half checkpoint.
    with tempfile.TemporaryDirectory(prefix=".saving_", dir=folder) as temporary:
        temporary = pathlib.Path(temporary)
        tf.raw_ops.SaveV2(
            prefix=str(temporary / base),
            tensor_names=list(tensors),
            shape_and_slices=[""] * len(tensors),
            tensors=list(tensors.values()),
        )
        (temporary / STATE_FILE).write_text(
            f'model_checkpoint_path: "{base}"\n'
            f'all_model_checkpoint_paths: "{base}"\n'
        )
        # The index last but for the state file: without it there is no checkpoint.
        for name in (f"{base}.data-00000-of-00001", f"{base}.index", STATE_FILE):
            os.replace(temporary / name, folder / name)
    return str(folder / base)


def _tensors(model, part, momentum_slots):
    """dict of TF1 name -> value."""
    tensors = {}
    for row in model_rows(model, part=part):
        weight = getattr(model.get_layer(row.layer), row.weight)
        if weight.dtype != "float32":
            raise CheckpointError(
                f"weight {weight.path} has type {weight.dtype}; the TF1 graphs hold "
                "float32. Build the model with dtype float32 weights."
            )
        tensors[row.name] = weight.value
        if momentum_slots and row.trainable:
            tensors[f"{row.name}/Momentum"] = np.zeros(row.shape, np.float32)
    return tensors
