"""The nearest point of a hyperplane inside the box [0, 1], as FAB needs it.

Croce & Hein (2020, "Minimally distorted adversarial examples", Eq. 4) solve it by
sorting all pixels. Here the one unknown, how far pixels are pushed, is found by
Newton's method: the value on the plane is a concave, piecewise linear function of it,
so that the iterates rise to the root and meet it after a handful of steps.
"""

import tensorflow as tf

_MAX_NEWTON_STEPS = 60
_TOLERANCE = 1e-6


def to_hyperplane(points, normals, values, norm):
    """The smallest changes that bring points to their hyperplanes inside the box.

    Every pixel moves against its normal's sign, by as much as the others or until it
    meets the box: by min(push, room) for Linf and min(push |w|, room) for L2. Where
    the plane does not meet the box, the change goes to the corner nearest to it.

    Args:
        points: float tensor (batch, d) in [0, 1].
        normals: float tensor (batch, d), the vectors w.
        values: float tensor (batch,): w . point minus the plane's offset.
        norm: "linf" or "l2", the norm of the change.

    Returns:
        Float tensor (batch, d): what to add to the points.
    """
    # Dividing both by the largest weight changes no plane, and keeps squares of small
    # weights above zero in float32.
    largest = tf.reduce_max(tf.abs(normals), axis=1, keepdims=True)
    normals = tf.math.divide_no_nan(normals, largest)
    values = tf.math.divide_no_nan(values[:, None], largest)
    normals *= tf.where(values >= 0, 1.0, -1.0)
    room = tf.where(normals > 0, points, 1.0 - points)
    weights = tf.abs(normals)
    # Each pixel adds weight * min(push * speed, room) to the value.
    speed = tf.ones_like(weights) if norm == "linf" else weights
    push = _root(weights, speed, room, tf.abs(values))
    return -tf.sign(normals) * tf.minimum(push * speed, room)


def _root(weights, speed, room, wanted):
    """The push (batch, 1) at which the value changes by `wanted`, or infinity."""
    slopes = weights * speed
    reach = tf.reduce_sum(weights * room, axis=1, keepdims=True)

    def newton(count, push, going):
        moved = tf.minimum(push * speed, room)
        gained = tf.reduce_sum(weights * moved, axis=1, keepdims=True)
        free = tf.where(moved < room, slopes, 0.0)
        slope = tf.reduce_sum(free, axis=1, keepdims=True)
        further = push + tf.math.divide_no_nan(wanted - gained, slope)
        going = going & (further > push * (1.0 + _TOLERANCE))
        return count + 1, tf.where(going, further, push), going

    start = tf.math.divide_no_nan(wanted, tf.reduce_sum(slopes, axis=1, keepdims=True))
    met = wanted < reach
    _, push, _ = tf.while_loop(
        lambda count, _, going: (count < _MAX_NEWTON_STEPS) & tf.reduce_any(going),
        newton,
        (0, start, met),
        parallel_iterations=1,
    )
    return tf.where(met, push, tf.constant(1e30, push.dtype))
