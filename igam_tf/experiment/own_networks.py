"""Networks of one's own: `--student_model=FILE.keras` or `module:function`.

And the pixels that a teacher from a file takes, `--teacher_input_range`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from igam_tf import checkpoints, models
from igam_tf.attacks.fractions import parse_fraction
from igam_tf.derivatives import second_derivatives
from igam_tf.experiment import starts, structure
from igam_tf.experiment.settings import NETWORKS
from igam_tf.settings import naming
from igam_tf.training.checks import check_classifier, check_no_probabilities

if TYPE_CHECKING:
    from igam_tf.data.registry import DatasetInfo
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.folder import RunFolder
    from igam_tf.training.method_settings import MethodSettings

_FLAG = "--student_model"
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
#: Flag that names a file, or a function -> key of what `flags.json` says of it, with
#: its SHA-256: of a function that of the network that it makes (`structure.digest`).
RECORDED = {
    "student_model": "student_network",
    "student_checkpoint": "student_weights",
    "score_model": "score_model",
}


def is_file(name: str) -> bool:
    """Whether a name of `--student_model` is that of a file."""
    return name.endswith(checkpoints.KERAS_SUFFIXES)


def is_own(name: str) -> bool:
    """Whether a name of `--student_model` is a network of one's own."""
    return is_file(name) or ":" in name


def check_name(experiment: Experiment) -> None:
    """Raises ValueError unless `--student_model` can be one; nothing is read."""
    name = experiment.student.model
    if name in ("auto", *NETWORKS):
        return
    if not is_file(name) and not _FUNCTION.fullmatch(name):
        raise ValueError(
            f"{_FLAG}={name!r}: expected one of {('auto', *NETWORKS)}, a file of a "
            f"Keras model ({', '.join(checkpoints.KERAS_SUFFIXES)}), or "
            "module:function."
        )
    if is_file(name) and experiment.run.precision != "float32":
        raise ValueError(
            f"--precision={experiment.run.precision} with {_FLAG}={name}: a network "
            "from a file computes as it was saved; pass module:function, which makes "
            "it anew, or leave --precision out."
        )


def input_range(experiment: Experiment) -> tuple[float, float] | None:
    """What black and white are to the teacher from a file; None for 0 and 1.

    Raises:
        ValueError: naming the flag.
    """
    text = experiment.teacher.input_range
    if not text:
        return None
    try:
        low, high = map(parse_fraction, text.split(","))
    except ValueError:
        low = high = 0.0
    if not low < high:
        raise ValueError(
            f"--teacher_input_range={text!r}: expected two numbers, what black and "
            "white are to the teacher, such as 0,255 or -1,1."
        )
    return low, high


def check_input_range(experiment: Experiment) -> None:
    """Raises ValueError unless `--teacher_input_range` is of a teacher from a file."""
    if input_range(experiment) and not experiment.teacher.checkpoint:
        raise ValueError(
            f"--teacher_input_range={experiment.teacher.input_range} without "
            "--teacher_checkpoint: a teacher that is trained here takes images in "
            "[0, 1]; leave it out."
        )


def build(name: str, task: DatasetInfo, activation: str = "") -> keras.Model:
    """A student of one's own for a task, checked.

    A file's network starts from the weights in the file; a function is called anew for
    each row, with the same seed.

    Args:
        name: a file, or "module:function": called as `function(num_classes=...,
            image_shape=(height, width, channels))`, it returns a keras.Model from
            images in [0, 1] to logits. The module is looked for in the working folder
            too, and among the files of `--import`.
        task: the target task.
        activation: what takes the place of its hidden activations; "" leaves them.

    Raises:
        ValueError: if it is no network from the task's images to logits of its classes;
            names the flag.
        FileNotFoundError: if there is no such file; names the flag.
    """
    try:
        model = checkpoints.load(name) if is_file(name) else _called(name, task)
        check_classifier(model)
        _check_fits(model, task)
        check_no_probabilities(model)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{_FLAG}={name}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{_FLAG}={name}: {error}") from error
    if not activation:
        return model
    with naming(f"--activation={activation} with {_FLAG}={name}"):
        return models.swap_activations(model, activation)


def check_row(
    experiment: Experiment, student: keras.Model, method: MethodSettings
) -> str:
    """Checks what a row's method will ask of a student of one's own.

    Every method does so before its first step; here it is done before a teacher is
    trained for hours.

    Args:
        experiment: the settings.
        student: what `build` made.
        method: settings of the row's method.

    Returns:
        A sentence about losses that the network adds, or "".

    Raises:
        ValueError: if the method learns from input gradients, and those of the network
            cannot be differentiated again.
    """
    name = experiment.student.model
    if "matching" in method.uses:
        try:
            second_derivatives.check(student, training=True)
        except ValueError as error:
            raise ValueError(f"{_FLAG}={name}: {error}") from error
    if not student.losses:
        return ""
    return (
        f"{_FLAG}={name} adds {len(student.losses)} losses of its own (regularizers, "
        "add_loss), which are part of every training step beside --weight_decay."
    )


def recorded(experiment: Experiment) -> dict[str, Any]:
    """What `flags.json` holds of what a student is made of: names and SHA-256."""
    flags = experiment.flags()
    found = {
        RECORDED[flag]: {"file": flags[flag], "sha256": checkpoints.digest(path)}
        for flag, path in _files(experiment).items()
    }
    if made := _of_function(experiment):
        name = experiment.student.model
        found[RECORDED["student_model"]] = {"function": name, "sha256": made}
    return found


def known_digests(experiment: Experiment) -> dict[str, frozenset[str]]:
    """Of each flag that is given, what may have been recorded of its file."""
    found = {
        flag: checkpoints.known_digests(path)
        for flag, path in _files(experiment).items()
    }
    if made := _of_function(experiment):
        found["student_model"] = frozenset({made})
    return found


def _files(experiment):
    """The files a student is made of: flag -> path, of those that are given."""
    flags = experiment.flags()
    found = {flag: flags[flag] for flag in RECORDED}
    found["student_checkpoint"] = starts.path(experiment)
    if not is_file(found["student_model"]):
        del found["student_model"]
    return {flag: path for flag, path in found.items() if path}


def _of_function(experiment):
    """Digest of the network that a function of one's own makes, or None."""
    name = experiment.student.model
    if not is_own(name) or is_file(name):
        return None
    task = experiment.data.info("target")
    return structure.digest(build(name, task, experiment.student.activation))


def check_recorded(experiment: Experiment, folder: RunFolder) -> None:
    """Raises ValueError if what a student is made of is not what the run began with."""
    before, flags = folder.read_flags() or {}, experiment.flags()
    for flag, known in known_digests(experiment).items():
        earlier = before.get(RECORDED[flag])
        if earlier and earlier["sha256"] not in known:
            what = "network that it makes" if "function" in earlier else "file"
            raise ValueError(
                f"--{flag}={flags[flag]}: the {what} is not the one that the run of "
                f"{folder.path} began with (sha256 {min(known)[:12]} now, "
                f"{earlier['sha256'][:12]} then): put that one back, or pass another "
                "--run_dir."
            )


def _called(name, task):
    """What a function of one's own returns."""
    module, function = name.split(":")
    with _in_working_folder():
        try:
            make = getattr(importlib.import_module(module), function)
        except ModuleNotFoundError as error:
            if error.name != module.partition(".")[0]:
                raise ValueError(f"{error}, which {module} imports.") from error
            raise ValueError(
                f"there is no module {module!r}: run the command in its folder, or "
                "pass --import=FILE.py."
            ) from error
        except AttributeError as error:
            raise ValueError(f"{module} has no {function!r}.") from error
        except Exception as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        arguments = {"num_classes": task.num_classes, "image_shape": task.image_shape}
        try:
            return make(**arguments)
        # Whatever the user's own lines raise.
        except Exception as error:
            raise ValueError(
                f"called with {arguments}: {type(error).__name__}: {error}"
            ) from error


@contextlib.contextmanager
def _in_working_folder() -> Iterator[None]:
    """Modules are found beside the run, too: a console script does not look there."""
    folder = os.getcwd()
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _check_fits(model, task):
    shape, classes = tuple(model.input_shape[1:]), model.output_shape[-1]
    fits = len(shape) == 3 and all(
        have in (None, want) for have, want in zip(shape, task.image_shape, strict=True)
    )
    if not fits:
        raise ValueError(
            f"it takes images of shape {shape}, and --target={task.name} has "
            f"{tuple(task.image_shape)}."
        )
    if classes != task.num_classes:
        raise ValueError(
            f"it has {classes} classes, and --target={task.name} has "
            f"{task.num_classes}."
        )
    if not model.trainable_weights:
        raise ValueError("it has no trainable weights; set layer.trainable = True.")
