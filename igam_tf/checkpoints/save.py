"""Writes TF1 checkpoints that the original graphs can restore."""

import numbers
import os
import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from igam_tf.checkpoints.describe import describe
from igam_tf.checkpoints.tf1.names import PARTS, model_rows
from igam_tf.checkpoints.tf1.networks import without_transform
from igam_tf.checkpoints.tf1.parts import Part
from igam_tf.checkpoints.tf1.writing import source_head, tensors_of, write
from igam_tf.models import NORMALIZATIONS
from igam_tf.models.activations import function_name

# The functions between the layers of the original graphs.
_LEAKY = "leaky_relu of slope 0.1"
_ORIGINAL = {"madry_mnist": "relu"}
_INTO = "load it into such a network by load_weights"


def save_tf1(
    model: keras.Model | dict[str, keras.Model],
    path: str | os.PathLike,
    *,
    part: str | None = None,
    source_teacher: keras.Model | None = None,
    step: int = 0,
    momentum_slots: bool = False,
) -> str:
    """Writes networks as a TF1 checkpoint with the original code's variable names.

    `load_madry(path)` gives each of them back bit for bit; of a finetuned teacher the
    network behind its input transform, which has no variables and is not in the file.
    Neither are the shape and the normalization of the input, nor the activations: a
    warning says when `load_madry` must be told, or would make another network.

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
        ValueError: if `part`, or a key of `model`, is unknown, `step` is no whole
            number, or `source_teacher` is not the one.
        OSError: if the folder cannot be written.
    """
    if not isinstance(step, numbers.Integral) or step < 0:
        raise ValueError(f"step={step}: expected a whole number of 0 or more.")
    models = _by_part(model, part)
    networks = {name: without_transform(model) for name, model in models.items()}
    tensors: dict[str, tf.Tensor | np.ndarray] = {}
    for name, network in networks.items():
        tensors |= tensors_of(network, name, momentum_slots)
    if source_teacher is not None:
        tensors |= source_head(networks, source_teacher)
    tensors["global_step"] = np.int64(step)
    prefix = write(tensors, pathlib.Path(path).expanduser(), f"checkpoint-{step}")
    info = describe(prefix)
    for name, network in networks.items():
        _warn_of_other_network(network, info.part(name if len(models) > 1 else None))
    return prefix


def _by_part(model, part):
    """Dict from part (None: to be inferred) to model."""
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


def _warn_of_other_network(model: keras.Model, part: Part) -> None:
    """Warns of what the file does not tell, and `load_madry` will not guess right."""
    about = f"the TF1 checkpoint of {model.name!r} does not hold what its"
    functions, expected = _activations(model), _ORIGINAL.get(part.kind, _LEAKY)
    if functions - {expected}:
        warnings.warn(
            f"{about} activations are ({', '.join(sorted(functions))}), and the "
            f"original {part.name} has {expected}: it, and load_madry, compute "
            "something else from these weights. Save it with model.save('....keras'), "
            f"or {_INTO}.",
            stacklevel=3,
        )
    shape = tuple(model.input_shape[1:])
    options = [f"image_shape={shape}"] if shape != part.image_shape else []
    if not _takes(part, shape, model):
        options = [f"images of {shape}"]
        way_out = _INTO
    else:
        options += _other_normalization(model, part)
        way_out = f"load it with {', '.join(options)}"
    if options:
        warnings.warn(
            f"{about} input is, and the original {part.name} has images of "
            f"{part.image_shape} and normalization {part.normalization!r}: {way_out}.",
            stacklevel=3,
        )


def _takes(part, shape, model):
    """Whether `load_madry(image_shape=)` makes a network of the model's weights."""
    if shape[-1] != part.image_shape[-1]:
        return False
    seen, written = part.viewed(image_shape=shape).rows(), model_rows(model)
    return [row.shape for row in seen] == [row.shape for row in written]


def _activations(model):
    """Names of the functions between its layers."""
    return {
        f"leaky_relu of slope {float(layer.negative_slope):g}"
        if isinstance(layer, keras.layers.LeakyReLU)
        else function_name(getattr(layer, "activation", layer))
        for layer in model.layers
        if "activation" in layer.name
    }


def _other_normalization(model, part):
    """The option of `load_madry` that a Wide-ResNet of another input needs, if any."""
    if part.depth is None:
        return []
    shape = tuple(model.input_shape[1:])
    images = np.random.default_rng(0).random((2, *shape)).astype("float32")
    seen = keras.Model(model.inputs[0], model.get_layer("init_conv").input)(images)
    same = [name for name, function in NORMALIZATIONS.items()
            if np.allclose(function(images), seen, rtol=1e-4, atol=1e-6)]  # fmt: skip
    if part.normalization in same:
        return []
    return [f"normalization={same[0]!r}" if same else "its normalization"]
