"""Checks of what an attack is given, before any long work."""

import math
import numbers
from collections.abc import Collection

import numpy as np
import tensorflow as tf

from igam_tf.data import check_images, check_labels, class_numbers

NORMS = ("linf", "l2")
#: Of attacks that know how to move in the part of an L1 ball that lies in the box.
ALL_NORMS = (*NORMS, "l1")
#: Counts are int32 inside of the compiled attacks.
MOST = 2**31 - 1


def one_of(name: str, value: object, known: Collection) -> None:
    """Raises ValueError unless `value` is one of the `known` values."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}: expected one of {tuple(known)}.")


def whole_number(name: str, value: int, minimum: int) -> None:
    """Raises ValueError unless `value` is an integer from `minimum` to 2^31 - 1."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: expected a whole number.")
    if value < minimum:
        raise ValueError(f"{name} is {value}: expected at least {minimum}.")
    if value > MOST:
        raise ValueError(f"{name} is {value}: expected at most {MOST}.")


def seed(value: int) -> None:
    """Raises ValueError unless `value` is an integer that fits int32."""
    if not isinstance(value, numbers.Integral) or not -(2**31) <= value < 2**31:
        raise ValueError(f"seed is {value!r}: expected an integer of at most 32 bits.")


def radius(name: str, value: float, norm: str) -> None:
    """Raises ValueError unless `value` is a distance between [0, 1] images."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value!r}: expected a number, zero or above.")
    if norm == "linf" and value > 1:
        raise ValueError(
            f"{name} is {value}: pixels are in [0, 1], so that a Linf distance is at "
            "most 1; for grey levels divide by 255, as in 8/255."
        )


def step(name: str, value: float, norm: str, eps: float) -> None:
    """Raises ValueError unless `value` is the length of a step that moves.

    Args:
        name: of the argument.
        value: length of the step.
        norm: "linf", "l2" or "l1".
        eps: radius of the ball; in a ball of radius 0 a step may be 0.
    """
    radius(name, value, norm)
    if not value and eps:
        raise ValueError(
            f"{name} is {value}: expected more than 0, or the attack goes nowhere and "
            "every image stays as it is; leave it out for the default, such as eps / 4."
        )


def share(name: str, value: float) -> None:
    """Raises ValueError unless `value` is a number from 0 to 1."""
    if not isinstance(value, numbers.Real) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}: expected a share, from 0 to 1.")


def factor(name: str, value: float, at_least: float) -> None:
    """Raises ValueError unless `value` is a finite number of at least `at_least`."""
    if (
        not isinstance(value, numbers.Real)
        or not math.isfinite(value)
        or value < at_least
    ):
        raise ValueError(
            f"{name} is {value!r}: expected a factor of at least {at_least}."
        )


def images_and_labels(
    images: np.ndarray | tf.Tensor, labels: np.ndarray | tf.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Checked images, and labels in the type that attacks compute with.

    Args:
        images: float32 array or tensor (batch, height, width, channels) in [0, 1]; what
            rounding put outside is clipped.
        labels: integers (batch,) or (batch, 1), or exactly one-hot rows.

    Returns:
        Tuple (float32 array, int32 array (batch,)).

    Raises:
        ValueError: if images or labels are not what `igam_tf.data` means by them, or
            not equally many.
    """
    images, labels = np.asarray(images), class_numbers(labels)
    check_images(images)
    if images.min() < 0 or images.max() > 1:
        images = images.clip(0.0, 1.0)
    check_labels(labels, np.iinfo(np.int32).max)
    if len(images) != len(labels):
        raise ValueError(
            f"{len(images)} images and {len(labels)} labels: expected one label an "
            "image."
        )
    return images, labels.astype(np.int32)
