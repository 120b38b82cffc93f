"""Names of the variables of an export: the same in every program and process.

A name is the part of the method that owns the variable and its place there, such as
"student/0017". Keras' own paths depend on how many layers a process made before.
"""

import os

import keras
import numpy as np
import tensorflow as tf

from igam_tf import compat
from igam_tf.export.runner import folder

STUDENT = "student"
_PARTS = (STUDENT, "teacher", "discriminator", "optimizer", "discriminator_optimizer")


def named_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """The variables of a training method, or of a plain Keras model, by their names.

    Args:
        model: `TrainingMethod`, compiled; or keras.Model, which is taken for a student.

    Returns:
        dict of keras.Variable.
    """
    if not hasattr(model, STUDENT):
        return _numbered(STUDENT, model.variables)
    named = {}
    for part in _PARTS:
        owner = getattr(model, part, None)
        if owner is not None:
            named.update(_numbered(part, owner.variables))
    known = {id(variable) for variable in named.values()}
    others = [v for v in model.variables if id(v) not in known]
    return {**named, **_numbered("method", others)}


def import_state(model: keras.Model, path: str | os.PathLike) -> keras.Model:
    """Loads a state that was trained without TensorFlow into the Keras model.

        igam_tf.export.import_state(method, "trained/state.npz")
        method.student.save("student.keras")

    Args:
        model: `TrainingMethod`, built and compiled like the exported one: networks,
            moving statistics, optimizer slots and step are assigned. Or the student
            alone, a plain keras.Model.
        path: state.npz, or a folder with one.

    Returns:
        The model.

    Raises:
        FileNotFoundError: if there is no state.
        ValueError: if the state is of other networks; nothing is assigned then.
    """
    variables = named_variables(model)
    arrays = folder.read_state(path)
    if not hasattr(model, STUDENT):
        arrays = {n: a for n, a in arrays.items() if n.startswith(STUDENT + "/")}
    _check_fit(model, variables, arrays, path)
    # All of them before the first is assigned.
    typed = {n: folder.typed(a, variables[n].dtype) for n, a in arrays.items()}
    for name, array in typed.items():
        variables[name].assign(array)
    return model


class Captures:
    """What programs take besides their inputs: variables, and perhaps constants.

    Args:
        model: as in `named_variables`.
    """

    def __init__(self, model: keras.Model):
        self.variables = named_variables(model)
        self._names = {
            id(compat.variable_handle(v)): name for name, v in self.variables.items()
        }
        self.used: dict[str, keras.Variable] = {}

    def entry(self, tensor: tf.Tensor) -> dict[str, object]:
        """Manifest entry of one captured input of a concrete function.

        Raises:
            ValueError: if it is no variable of the model.
        """
        name = self._names.get(id(tensor))
        if name is None:
            kind = "a variable" if tensor.dtype == tf.resource else "a tensor"
            raise ValueError(
                f"the step uses {kind} that belongs to none of {', '.join(_PARTS)} nor "
                "to the variables of the method; make the network that owns it an "
                "attribute of the method, and constants NumPy arrays."
            )
        variable = self.variables[name]
        self.used[name] = variable
        dtype = keras.backend.standardize_dtype(variable.dtype)
        return {"name": name, "shape": list(variable.shape), "dtype": dtype}

    def manifest(self) -> dict[str, str]:
        """Keras' paths of the variables that the programs use, by name."""
        return {name: self.used[name].path for name in sorted(self.used)}

    def state(self) -> dict[str, np.ndarray]:
        """Values of the variables that the programs use, by name."""
        return {name: self.used[name].numpy() for name in sorted(self.used)}


def _numbered(part, variables):
    return {f"{part}/{index:04d}": v for index, v in enumerate(variables)}


def _check_fit(model, variables, arrays, path):
    wrong = [
        f"{name} {array.shape}"
        for name, array in arrays.items()
        if name not in variables or tuple(variables[name].shape) != array.shape
    ]
    if wrong or not arrays:
        raise ValueError(
            f"{path} holds {', '.join(wrong[:3]) or 'no variable'} ({len(wrong)} of "
            f"{len(arrays)}) that the model does not have; expected the state of the "
            "same networks, method and optimizer, built in the same way."
        )
    # Every step uses the weights that it trains, and its optimizer's slots for them;
    # a counter or a rate may be of no use to it.
    student = getattr(model, STUDENT, model)
    used = {id(v) for v in student.trainable_variables}
    optimizer = getattr(model, "optimizer", None) if student is not model else None
    used |= {id(v) for v in getattr(optimizer, "variables", ()) if len(v.shape)}
    missing = [n for n, v in variables.items() if id(v) in used and n not in arrays]
    if missing:
        raise ValueError(
            f"{path} lacks {', '.join(missing[:3])} ({len(missing)} of the model's "
            f"{len(variables)} variables); expected the state of the same networks, "
            "method and optimizer, built in the same way."
        )
