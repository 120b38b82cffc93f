"""Weights that students start from: `--student_checkpoint`."""

from __future__ import annotations

import contextlib
import pathlib
import warnings

import keras
import numpy as np

from igam_tf import checkpoints, compat, models
from igam_tf.errors import reason
from igam_tf.experiment import preprocessing

_FLAG = "--student_checkpoint"
_WEIGHTS = ".weights.h5"


def load(student: keras.Model, path: str) -> None:
    """Loads weights into a student: all of them or, on error, none.

    Args:
        student: keras.Model with fresh weights.
        path: a .keras or .h5 file of a whole network, a .weights.h5 file, or a
            TensorFlow 1 checkpoint (`igam_tf.checkpoints.load_weights`). The network
            has to be the student's, but for its activation; where a whole network has
            other classes, the student's logits stay as they were drawn. What it does
            to images before its first weights has to be the same; a warning says where
            that is not known.

    Raises:
        ValueError: if it is damaged, of another network, of one that normalises images
            otherwise, or holds no finite numbers.
        FileNotFoundError: if it is missing. Both name the flag.
    """
    with _naming(path):
        if path.endswith(_WEIGHTS):
            _load_weights(student, path)
            _warn(path, "it holds weights only")
        elif path.endswith(checkpoints.KERAS_SUFFIXES):
            loaded = checkpoints.load(path)
            _copy(loaded, student)
            if not preprocessing.check_same(loaded, student):
                _warn(path, f"its images are of shape {loaded.input_shape[1:]}")
        else:
            _load_tf1(student, path)


def _load_tf1(student, path):
    info = checkpoints.describe(path)
    names = [part.name for part in info.parts]
    part = "student" if len(names) > 1 and "student" in names else None
    checkpoints.load_weights(student, path, part=part)
    try:
        preprocessing.check_is(info.part(part).normalization, student)
    except ValueError as error:
        raise ValueError(
            f"{error} The original code of this checkpoint has normalization="
            f"{info.part(part).normalization!r}; if yours had another, save "
            "igam_tf.checkpoints.load(PATH, normalization=...) as a .keras file."
        ) from error


def _warn(path, reason):
    warnings.warn(
        f"{_FLAG}={path}: whether its network normalises images as the student does is "
        f"not known ({reason}); where it does not, the student starts at chance.",
        stacklevel=3,
    )


@contextlib.contextmanager
def _naming(path):
    """Puts the flag in front of errors about its file."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{_FLAG}={path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{_FLAG}={path}: {error}") from error


def _load_weights(student, path):
    if not pathlib.Path(path).expanduser().is_file():
        raise FileNotFoundError("there is no such file.")
    before = student.get_weights()
    try:
        student.load_weights(pathlib.Path(path).expanduser())
        _check_finite(student.get_weights())
    # Keras passes on whatever h5py raises.
    except Exception as error:
        models.set_weights(student, before)
        raise ValueError(
            f"these are no weights of the student {student.name!r} "
            f"({type(error).__name__}: {reason(error, 300)}). Expected those of the "
            "same network: check --student_model, --depth and --width."
        ) from error


def _copy(loaded, student):
    """Weights of a loaded network, in their order, which is that of the layers."""
    values, drawn = loaded.get_weights(), student.get_weights()
    last = compat.operation_of_output(student)
    logits = {v.path for v in last.weights} if _is_simple(last) else set()
    names = [v.name for v in student.weights]
    same = [v.name for v in loaded.weights] == names
    fits = [a.shape == b.shape for a, b in zip(values, drawn)]
    others = [v.path in logits for v in student.weights]
    if not same or not all(f or o for f, o in zip(fits, others)):
        raise ValueError(
            f"the network of the file, {loaded.name!r} with {len(values)} weights, is "
            f"not the student {student.name!r} with {len(drawn)} weights"
            f"{_first_other(loaded, student)}. Expected the same network, but for the "
            "activation and the number of classes: check --student_model, --depth and "
            "--width."
        )
    _check_finite(values)
    # Kernel and bias of other classes go together.
    keeps = not all(fits)
    models.set_weights(
        student, [d if keeps and o else v for v, d, o in zip(values, drawn, others)]
    )


def _is_simple(operation):
    return isinstance(operation, keras.Layer) and not isinstance(operation, keras.Model)


def _first_other(loaded, student):
    for ours, theirs in zip(student.weights, loaded.weights):
        if ours.name != theirs.name or tuple(ours.shape) != tuple(theirs.shape):
            return (
                f": {theirs.path} {tuple(theirs.shape)} there, {ours.path} "
                f"{tuple(ours.shape)} here"
            )
    return ""


def _check_finite(values):
    if not all(np.isfinite(value).all() for value in values):
        raise ValueError("the weights hold NaN or infinite numbers.")
