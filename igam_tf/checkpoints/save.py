"""Writing TF1 checkpoints that the original graphs restore."""

import pathlib
import tempfile
import warnings

import keras
import numpy as np
import tensorflow as tf

from igam_tf import files
from igam_tf.checkpoints.describe import describe
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.locate import STATE_FILE
from igam_tf.checkpoints.names import PARTS, TARGET_HEAD, model_rows
from igam_tf.checkpoints.networks import is_finetuned, without_transform
from igam_tf.models import NORMALIZATIONS


def save_tf1(
    model, path, *, part=None, source_teacher=None, step=0, momentum_slots=False
):
    """Writes networks as a TF1 checkpoint with the original code's variable names.

    `load_madry(path)` gives each of them back bit for bit; of a finetuned teacher the
    network behind its input transform, which has no variables and is not in the file.
    Neither is the normalization of the input: a warning says when `load_madry` must be
    told.

    Args:
        model: network of `igam_tf.models` with float32 weights, or what
            `igam_tf.finetune` returns (its logits become `target_task_logit`). A dict
            {"teacher": ..., "student": ..., "discriminator": ...} of some of these
            writes them into one checkpoint, as the authors' training does.
        path: the folder to write into, made if need be. It gets
            `checkpoint-<step>.index`, its data file, and the `checkpoint` state file.
        part: "student" for the names under `classifier/`; a discriminator's names are
            its own, and other networks are teachers.
        source_teacher: of a finetuned teacher, the teacher that it was made from. Its
            logits are written too, as `logit`: the authors' graph asks for both.
        step: `global_step`, int64, which the original evaluation graphs restore too.
        momentum_slots: whether to add the optimizers' slots as they are before the
            first step, without which the original training graphs do not restore.

    Returns:
        str: the checkpoint's prefix.

    Raises:
        CheckpointError: if a model is no network of the TF1 code, or its input
            transform has weights.
        ValueError: if `part`, or a key of `model`, is unknown, or `source_teacher` is
            not the one.
        OSError: if the folder cannot be written.
    """
    models = _by_part(model, part)
    networks = {name: without_transform(model) for name, model in models.items()}
    tensors = {}
    for name, network in networks.items():
        tensors |= _tensors(network, name, momentum_slots)
    if source_teacher is not None:
        tensors |= _source_head(networks, source_teacher)
    tensors["global_step"] = np.int64(step)
    prefix = _write(tensors, pathlib.Path(path).expanduser(), f"checkpoint-{step}")
    info = describe(prefix)
    for name, network in networks.items():
        _warn_of_other_input(network, info.part(name if len(models) > 1 else None))
    return prefix


def _by_part(model, part):
    """dict of part (None: to be seen) -> model."""
    if not isinstance(model, dict):
        if part not in (None, *PARTS):
            raise ValueError(f"part={part!r}: expected one of {PARTS}.")
        return {part: model}
    if part is not None:
        raise ValueError(f"part={part!r}: the keys of a dict are the parts.")
    unknown = [name for name in model if name not in PARTS]
    if unknown or not model:
        raise ValueError(f"model has the keys {list(model)}; expected some of {PARTS}.")
    return model


def _tensors(network, part, momentum_slots):
    """dict of TF1 name -> value."""
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


def _variable(network, row):
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


def _source_head(networks, source_teacher):
    """The logits of the teacher that a finetuned one was made from."""
    teacher = next(filter(is_finetuned, networks.values()), None)
    if teacher is None:
        raise ValueError(
            "source_teacher was given, and no model is a finetuned teacher as "
            "igam_tf.finetune returns it: leave it out."
        )
    tensors = _tensors(source_teacher, "teacher", momentum_slots=False)
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


def _write(tensors, folder, base):
    """Writes a checkpoint and its state file; returns the prefix."""
    folder.mkdir(parents=True, exist_ok=True)
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
            files.publish(temporary / name, folder / name)
    return str(folder / base)


def _warn_of_other_input(model, part):
    """Warns if `load_madry` will not guess the input of a Wide-ResNet right."""
    if part.depth is None:
        return
    options = []
    shape = tuple(model.input_shape[1:])
    if shape != part.image_shape:
        options.append(f"image_shape={shape}")
    images = np.random.default_rng(0).random((2, *shape)).astype("float32")
    seen = keras.Model(model.inputs[0], model.get_layer("init_conv").input)(images)
    same = [name for name, function in NORMALIZATIONS.items()
            if np.allclose(function(images), seen, rtol=1e-4, atol=1e-6)]  # fmt: skip
    if part.normalization not in same:
        options.append(f"normalization={same[0]!r}" if same else "its normalization")
    if options:
        warnings.warn(
            f"the TF1 checkpoint of {model.name!r} does not hold what its input is, "
            f"and the original {part.name} has images of {part.image_shape} and "
            f"normalization {part.normalization!r}: load it with {', '.join(options)}.",
            stacklevel=3,
        )
