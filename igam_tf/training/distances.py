"""How far the student's input gradients are from what they are matched to.

The squared L2 distance compares directions and sizes together. Among gradients that do
not point along the teacher's, the smallest are the nearest, so that a student may
minimise it by shrinking its gradients, whatever the teacher's are. The other two
distances are of directions alone: a gradient that vanishes is as far away as one at a
right angle.

The gradient of the loss is that of the true class' probability p, times -1 / p. Of
directions, both have the same distance, wherever neither vanishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from igam_tf.derivatives import directions
from igam_tf.training import teachers

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.training.method_settings import MethodSettings

#: Distances of the directions of two gradients.
OF_DIRECTIONS = ("cosine", "normalized_l2")

_LABELS = {"cosine": "cosine", "normalized_l2": "normalized L2"}

# Of directions closer than this, a thousandth of a radian, the distance is taken for
# constant: the derivative of a square root has no bound at zero.
_SMALLEST_DISTANCE = 1e-3


def between_directions(
    first: tf.Tensor, second: tf.Tensor, *, distance: str, pixel_range: float = 1.0
) -> tf.Tensor:
    """Distance of the directions of two batches of gradients, image by image.

        cosine          1 - cos(first, second)
        normalized_l2   || first / ||first||_2 - second / ||second||_2 ||_2

    The latter is the form of Zagoruyko and Komodakis, "Paying more attention to
    attention", ICLR 2017, Eq. 2 with p = 2, there of maps of activations. It equals
    sqrt(2 (1 - cos)). Of a gradient that vanishes the cosine is 0, whatever the other
    one is. Derivatives are bounded (`igam_tf.derivatives.directions`).

    Args:
        first, second: tensors (batch, height, width, channels) of gradients.
        distance: one of `OF_DIRECTIONS`.
        pixel_range: range of the pixels that the gradients are taken for.

    Returns:
        Tensor (batch,): between 0 and 2, at right angles 1 ("cosine") or sqrt(2).
    """
    smallest = directions.SMALLEST_GRADIENT / pixel_range
    first, second = (
        directions.direction(gradient, [1, 2, 3], smallest=smallest)
        for gradient in (first, second)
    )
    distant = 1.0 - tf.reduce_sum(first * second, axis=(1, 2, 3))
    if distance == "cosine":
        return distant
    return tf.sqrt(tf.maximum(2.0 * distant, _SMALLEST_DISTANCE**2))


def in_label(distance: str) -> str:
    """What a distance adds to the name of its row in tables."""
    return f" ({_LABELS[distance]})" if distance in _LABELS else ""


def check(distance: str, choices: tuple[str, ...], matched_to: str) -> None:
    """Checks the arguments `distance` and `matched_to` of a method.

    Args:
        distance: what was given.
        choices: the method's distances.
        matched_to: one of `igam_tf.training.matched.MATCHED_TO`.

    Raises:
        ValueError: if the distance is unknown, or zero has no direction for it.
    """
    teachers.check_choice("distance", distance, choices)
    if distance in OF_DIRECTIONS and matched_to == "zero":
        raise ValueError(
            f"distance={distance!r} with matched_to='zero': a zero gradient has no "
            "direction to match; expected another matched_to, or a distance of "
            "gradients."
        )


def controls(names: tuple[str, ...], distance: str) -> tuple[str, ...]:
    """Those of the names of `--controls` that a distance can have."""
    if distance not in OF_DIRECTIONS:
        return names
    return tuple(name for name in names if name != "zero")


def check_controls(experiment: Experiment, row: MethodSettings, *, flag: str) -> None:
    """Raises ValueError if a run asks for a control that a distance cannot have.

    Args:
        experiment: all settings.
        row: settings of the method.
        flag: the flag of its distance.
    """
    asked = experiment.table.controls
    if "zero" in asked and row.name in experiment.methods:
        if "zero" in row.controls():
            return
        others = ",".join(name for name in asked if name != "zero")
        raise ValueError(
            f"--controls={','.join(asked)} with --{flag}={row.flags()[flag]}: a zero "
            "gradient has no direction to match, and training without matching is the "
            f"row standard; leave zero out: --controls={others}"
        )
