"""Checks of settings that one field cannot show: pure functions of an `Experiment`.

Each raises a ValueError that names the flag, the received value and the way out. No
data is read here, and TensorFlow is not imported.
"""

import math
import numbers
import pathlib

from igam_tf.attacks import names
from igam_tf.attacks.fractions import fraction
from igam_tf.data import registry

# float32 ends there, and so do the settings that become one.
_LARGEST = 3e38
_MOST = 2**31 - 1


def check_type(field, value):
    """Checks that a value is of the type of its field, within what can be computed.

    Args:
        field: `dataclasses.Field` of a setting.
        value: its value.

    Raises:
        ValueError: naming the flag.
    """
    kind = type(field.default)
    fits = {
        bool: lambda: isinstance(value, bool),
        int: lambda: isinstance(value, numbers.Integral) and not isinstance(value, bool),
        float: lambda: isinstance(value, numbers.Real) and not isinstance(value, bool),
        str: lambda: isinstance(value, str),
        tuple: lambda: isinstance(value, tuple),
    }[kind]
    expected = {
        bool: "true or false", int: "a whole number", float: "a number", str: "a text",
        tuple: "names or numbers, separated by commas",
    }  # fmt: skip
    problem = None
    if not fits():
        problem = expected[kind]
    elif kind is int and not -_MOST <= value <= _MOST:
        problem = f"at most {_MOST}"
    elif kind is float and math.isfinite(value) and abs(value) > _LARGEST:
        problem = "a number that float32 can hold"
    if problem:
        raise ValueError(
            f"--{field.name}={value!r}: expected {problem}. {field.metadata['help']}"
        )


def check(experiment):
    """All checks of this file, those of one field excepted."""
    check_radii(experiment)
    check_steps(experiment)
    check_attacks(experiment)
    check_discriminator(experiment)
    check_pag(experiment)
    check_files(experiment)


def check_radii(experiment):
    """Radii are distances between images in [0, 1]."""
    eps = experiment.eps
    if experiment.norm == "linf" and eps > 1:
        raise ValueError(
            f"--eps={eps}: expected at most 1, the pixel range, for Linf; 8 grey levels "
            "are 8/255."
        )
    shape = registry.find(experiment.target).image_shape
    longest = math.prod(shape) ** 0.5
    if eps > longest:
        raise ValueError(
            f"--eps={eps}: expected at most {longest:.4g}, the L2 distance of black "
            f"and white images of {experiment.target}; for grey levels divide by 255."
        )


def check_steps(experiment):
    """A step fits into the ball that it is taken in."""
    balls = [("step_size", experiment.step_size, "eps", experiment.eps)]
    if not experiment.teacher_checkpoint:
        balls.append(
            ("teacher_step_size", experiment.teacher_step_size, "teacher_eps",
             experiment.teacher_eps)
        )  # fmt: skip
    for name, step, radius, eps in balls:
        # In a ball of radius 0 nothing moves, whatever the step.
        if eps and step > 2 * eps * (1 + 1e-6):
            raise ValueError(
                f"--{name}={step:g}: expected at most twice --{radius}="
                f"{fraction(eps)}, the width of the ball; a quarter of the radius is "
                "usual. Pixels are in [0, 1]: 2 grey levels are 2/255."
            )


def check_attacks(experiment):
    """Attacks have names that are known, and suit the mode of the evaluation."""
    for attack in experiment.attacks:
        try:
            names.check(attack)
        except ValueError as error:
            raise ValueError(f"--attacks: {error}") from None
        if experiment.batch_norm == "batch" and attack.startswith("autoattack"):
            raise ValueError(
                f"--batch_norm=batch with --attacks={attack}: expected "
                "--batch_norm=inference, because AutoAttack's parts run on the images "
                "still standing, and with batch statistics each result depends on the "
                "others; for the authors' mode take pgdK, or the parts one at a time "
                "(apgd-ce, square)."
            )


def check_discriminator(experiment):
    """Every layer of the discriminator has a unit at least."""
    channels = experiment.discriminator_channels
    for count in channels:
        is_whole = isinstance(count, numbers.Integral) and not isinstance(count, bool)
        if not is_whole or not 1 <= count <= 2**16:
            shown = ",".join(map(str, channels))
            raise ValueError(
                f"--discriminator_channels={shown}: expected whole numbers from 1 to "
                f"{2**16} with commas, such as 16,32,64."
            )


def check_pag(experiment):
    """No more classes are drawn than there are."""
    classes = registry.find(experiment.target).num_classes
    if experiment.pag_classes > classes:
        raise ValueError(
            f"--pag_classes={experiment.pag_classes}: {experiment.target} has {classes} "
            f"classes; expected at most {classes}, or 0 for all."
        )


def check_files(experiment):
    """Files that later stages load are there."""
    path = experiment.score_model
    if path and not (path.endswith(".keras") and pathlib.Path(path).is_file()):
        raise ValueError(
            f"--score_model={path}: expected a .keras file that exists; leave it out "
            "to train a score network here."
        )
