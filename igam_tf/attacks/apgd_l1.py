"""Auto-PGD in L1 (Croce & Hein 2021, "Mind the box", Algorithms 1 and 2).

It differs from that of Linf and L2 (`apgd.py`): a step follows the signs of the largest
gradients only; how many they are is decided from how many values the best point so far
has changed; there is no momentum; and it begins in a ball of three times the radius.
"""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from igam_tf.attacks.classifier import is_wrong
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.geometry import normal_noise, per_image, where
from igam_tf.attacks.l1 import project_l1

#: Radii of the balls in which it runs, one after the other, as multiples of eps.
RADII = (3.0, 2.0, 1.0)
# Share of the steps in the first two of them; the last one has the rest.
_SHARE = 0.3
# Checkpoints come after 4 % of the steps in a ball: after each, unless there are 50.
_CHECKPOINT_SHARE = 0.04
# A checkpoint with at least 5 % fewer changed values restarts the step size.
_FEWER = 0.95
# By which the step is divided otherwise, and how small it may get.
_SHRINK, _SMALLEST = 1.5, 0.1

#: Logits, losses and the gradient of their sum at some points.
Look = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def steps_in_balls(num_steps: int) -> tuple[int, int, int]:
    """How many of the steps are done in each of the balls: 100 are 30, 30 and 40."""
    early = max(1, round(_SHARE * num_steps))
    return early, early, num_steps - 2 * early


def schedule(num_steps: int) -> dict[str, np.ndarray]:
    """What each step does, as arrays; two are added, which enter a smaller ball.

    Args:
        num_steps: number of steps along the gradient, at least 3.

    Returns:
        Dict of arrays (num_steps + 2,): "radii" in multiples of eps, "enters" for the
        steps that only project the best point to a smaller ball and look at it,
        "ends_window" for those with a checkpoint, "is_last_ball".
    """
    rows = []
    for number, count in enumerate(steps_in_balls(num_steps)):
        is_last = number == len(RADII) - 1
        if number:
            rows.append((RADII[number], True, True, is_last))
        window = max(int(_CHECKPOINT_SHARE * count), 1)
        rows += [
            (RADII[number], False, step % window == 0, is_last)
            for step in range(1, count + 1)
        ]
    names = ("radii", "enters", "ends_window", "is_last_ball")
    columns = (np.array(column) for column in zip(*rows, strict=True))
    table = dict(zip(names, columns, strict=True))
    return {**table, "radii": table["radii"].astype(np.float32)}


def numbers(eps: float, num_steps: int) -> Numbers:
    """The `schedule` with radii as distances."""
    table = schedule(num_steps)
    return {**table, "radii": np.float32(eps) * table["radii"]}


def chunks(num_steps: int) -> list[int]:
    """Steps after which misclassified images are dropped: none is in larger balls."""
    early, _, count = steps_in_balls(num_steps)
    entry, last = 2 * early + 1, num_steps + len(RADII) - 1
    late = {entry + 1 + n for n in (0, 2, 5, *range(10, count, 10))}
    return sorted(n for n in {*range(10, entry, 10), *late, last} if n <= last)


def begin(start: Tensors, values: Tensors, look: Look) -> Tensors:
    """The state at a random point of the largest ball."""
    images, labels = start["images"], start["labels"]
    radius = values["radii"][0]
    noise = normal_noise(images, start["seeds"])
    point = project_l1(images + noise, images, radius)
    none = tf.zeros_like(labels)
    state = {
        "images": images,
        "labels": labels,
        "targets": start["targets"],
        "found": images,
        "misclassified": tf.zeros_like(labels, tf.bool),
        "num_changed": none,
        "step_size": tf.zeros_like(labels, tf.float32),
        "best": point,
        "best_gradient": tf.zeros_like(point),
        "best_loss": tf.zeros_like(labels, tf.float32),
    }
    true = tf.constant(True)
    state = _seen(state, point, look(point), true, tf.constant(False))
    return _checkpoint(state, radius, true)


def advance(state: Tensors, step: tf.Tensor, values: Tensors, look: Look) -> Tensors:
    """The state one step later: a step along the gradient, or into a smaller ball."""
    radius, enters = values["radii"][step], values["enters"][step]
    moved = tf.cond(
        enters,
        lambda: project_l1(state["best"], state["images"], radius),
        lambda: _moved(state, radius),
    )
    state = _seen(state, moved, look(moved), enters, values["is_last_ball"][step])
    return tf.cond(
        values["ends_window"][step],
        lambda: _checkpoint(state, radius, enters),
        lambda: state,
    )


def _moved(state, radius):
    """A step along the signs of the largest gradients, as many as an image may take."""
    point, gradient = state["adversarial"], state["gradient"]
    size = tf.abs(gradient)
    flat = tf.reshape(size, [-1, math.prod(gradient.shape[1:])])
    wanted = _num_kept(state["num_changed"])
    largest = tf.math.top_k(flat, tf.reduce_max(wanted)).values
    least = tf.gather(largest, wanted - 1, batch_dims=1)
    # Not "larger than": NaN has to stay NaN.
    signs = tf.where(size < per_image(least, size), 0.0, tf.sign(gradient))
    axes = list(range(1, signs.shape.rank))
    count = tf.reduce_sum(tf.abs(signs), axis=axes, keepdims=True)
    step = per_image(state["step_size"], point) * tf.math.divide_no_nan(signs, count)
    return project_l1(point + step, state["images"], radius)


def _num_kept(num_changed):
    """How many values the next step changes: two thirds of those changed so far."""
    return tf.maximum((2 * num_changed + 2) // 3, 1)


def _seen(state, point, looked, is_new, is_last_ball):
    """The state after a look at a point; a new ball forgets the best of the last."""
    logits, loss, gradient = looked
    wrong = is_last_ball & is_wrong(logits, state["labels"])
    better = is_new | (loss > state["best_loss"])
    new_found = is_last_ball & (is_new | wrong | (better & ~state["misclassified"]))
    return {
        **state,
        "adversarial": point,
        "gradient": gradient,
        "best": where(better, point, state["best"]),
        "best_gradient": where(better, gradient, state["best_gradient"]),
        "best_loss": tf.where(better, loss, state["best_loss"]),
        "found": where(new_found, point, state["found"]),
        "misclassified": state["misclassified"] | wrong,
    }


def _checkpoint(state, radius, is_new):
    """Shrinks the step, or restarts from a best point that has become sparser."""
    axes = list(range(1, state["images"].shape.rank))
    is_changed = tf.cast(state["best"] != state["images"], tf.int32)
    changed = tf.reduce_sum(is_changed, axis=axes)
    before = tf.cast(state["num_changed"], tf.float32)
    sparser = is_new | (tf.cast(changed, tf.float32) < _FEWER * before)
    smaller = tf.maximum(state["step_size"] / _SHRINK, _SMALLEST * radius)
    return {
        **state,
        "num_changed": changed,
        "step_size": tf.where(sparser, radius, smaller),
        "adversarial": where(sparser, state["best"], state["adversarial"]),
        "gradient": where(sparser, state["best_gradient"], state["gradient"]),
    }
