"""Steps, starts and the projection in the part of an L1 ball that lies in the box.

Clipping to [0, 1] after a projection onto the ball does not leave the ball, but comes
to rest inside of it: in L1, where a perturbation changes few pixels by much, most of
eps is lost that way (Croce & Hein 2021, "Mind the box: l1-APGD for sparse adversarial
attacks on image classifiers").
"""

import math

import tensorflow as tf

_MAX_STEPS = 60
_TOLERANCE = 1e-6
# Share of an image's values that a step changes.
_SHARE = 0.05
# Number of the largest weights that are sorted first; for most planes they are enough.
_FEW = 256


def l1_step(gradient: tf.Tensor, points: tf.Tensor) -> tf.Tensor:
    """A sparse ascent: along the 5 % of the gradient that are largest.

    The steepest step in L1 would change one value; several at once get there sooner
    (SLIDE, Tramer & Boneh 2019, "Adversarial training and robustness for multiple
    perturbations", whose steps are of one size; in proportion to the gradient they lead
    to the worst case of a linear model, if `project_l1` follows). They are chosen among
    values that the box lets move. Larger gradients that lead out of the box stay in
    the step, or the projection would take their values back from its walls.

    Args:
        gradient: float tensor (batch, ...), of known shape but for the batch.
        points: tensor like `gradient`, in [0, 1].

    Returns:
        Tensor like `gradient`, of L1 length 1 where values may move; zero where the
        gradient is, and NaN where it is.
    """
    axes = list(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    gradient = tf.math.divide_no_nan(gradient, largest)
    is_held = ((gradient > 0) & (points >= 1)) | ((gradient < 0) & (points <= 0))
    free = tf.where(is_held, 0.0, tf.abs(gradient))
    size = math.prod(gradient.shape[1:])
    flat = tf.reshape(free, [-1, size])
    least = tf.math.top_k(flat, max(1, math.ceil(_SHARE * size))).values[:, -1]
    is_small = tf.abs(gradient) < tf.reshape(least, tf.shape(largest))
    length = tf.reduce_sum(tf.where(is_small, 0.0, free), axis=axes, keepdims=True)
    return tf.math.divide_no_nan(tf.where(is_small, 0.0, gradient), length)


def uniform_l1(shape: tuple, seed: tf.Tensor) -> tf.Tensor:
    """Points (n, d) drawn uniformly from the unit ball of L1.

    Of d + 1 exponential numbers over their sum, d are uniform in the simplex (Devroye
    1986, Chapter XI); their signs are drawn.
    """
    count, d = shape
    draw = tf.random.stateless_uniform([count, 2 * d + 1], seed, alg="philox")
    # From (0, 1]: no logarithm of zero.
    exponential = -tf.math.log(1.0 - draw[:, : d + 1])
    simplex = exponential[:, :d] / tf.reduce_sum(exponential, axis=1, keepdims=True)
    return simplex * tf.where(draw[:, d + 1 :] < 0.5, -1.0, 1.0)


def project_l1(
    images: tf.Tensor, originals: tf.Tensor, eps: tf.Tensor | float
) -> tf.Tensor:
    """The nearest images (in L2) inside the L1 ball around the originals and the box.

    Every pixel's change shrinks by the same amount, the threshold, and is cut to the
    room that the box leaves it (Croce & Hein 2021, Proposition 2.1). They find the
    threshold by sorting; here the sum of the changes, a piecewise linear function of it
    that falls, is solved by Newton's method inside of an interval that is halved where
    a step would leave it.

    Args:
        images: float tensor (batch, ...), anywhere.
        originals: tensor like `images`, in [0, 1].
        eps: radius of the ball; a scalar, or one number an image, (batch, 1, 1, 1).

    Returns:
        Tensor like `images`. Their absolute changes sum up to eps at most (rounded).
    """
    axes = list(range(1, images.shape.rank))
    change = images - originals
    size = tf.abs(change)
    room = tf.where(change > 0, 1.0 - originals, originals)
    # A value an image, whatever the shape of eps.
    wanted = eps + tf.zeros_like(tf.reduce_sum(size, axis=axes, keepdims=True))
    left = _left(size, room, _threshold(size, room, wanted, axes))
    return tf.clip_by_value(originals + tf.sign(change) * left, 0.0, 1.0)


def to_hyperplane_l1(
    weights: tf.Tensor, room: tf.Tensor, wanted: tf.Tensor
) -> tf.Tensor:
    """How far values move so that a hyperplane is reached by the least sum of changes.

    What a change gains is its size times its weight. The value of the largest weight
    moves as far as its room, then the next one, and the last of them by what is missing
    (Croce & Hein 2020, "Minimally distorted adversarial examples", Appendix).

    Args:
        weights: float tensor (batch, d), zero or above.
        room: float tensor (batch, d), how far each value may move.
        wanted: float tensor (batch, 1), what all of them are to gain.

    Returns:
        Float tensor (batch, d), from 0 to `room`; all of it where it is not enough.
    """
    d = weights.shape[1]

    def by_largest(count):
        heaviest, places = tf.math.top_k(weights, count)
        space = tf.gather(room, places, batch_dims=1)
        gains = heaviest * space
        missing = wanted - tf.cumsum(gains, axis=1, exclusive=True)
        moved = tf.math.divide_no_nan(missing, heaviest)
        # A weight of zero gains nothing: its value stays.
        moved = tf.clip_by_value(moved, 0.0, space)
        rows = tf.broadcast_to(tf.range(tf.shape(places)[0])[:, None], tf.shape(places))
        return tf.scatter_nd(tf.stack([rows, places], -1), moved, tf.shape(weights))

    if d <= _FEW:
        return by_largest(d)
    heaviest, places = tf.math.top_k(weights, _FEW)
    gains = heaviest * tf.gather(room, places, batch_dims=1)
    is_enough = tf.reduce_all(tf.reduce_sum(gains, axis=1, keepdims=True) > wanted)
    return tf.cond(is_enough, lambda: by_largest(_FEW), lambda: by_largest(d))


def _left(size, room, threshold):
    """What a threshold leaves of the changes."""
    return tf.clip_by_value(size - threshold, 0.0, room)


def _threshold(size, room, wanted, axes):
    """The threshold that leaves a sum of `wanted`, or 0 where no more is there."""

    def surplus_at(threshold):
        """How much too long the changes are, and how fast that falls."""
        left = _left(size, room, threshold)
        is_free = tf.cast((left > 0) & (left < room), left.dtype)
        sums = (tf.reduce_sum(x, axis=axes, keepdims=True) for x in (left, is_free))
        total, slope = sums
        return total - wanted, slope

    def step(count, low, high, threshold, going):
        surplus, slope = surplus_at(threshold)
        low = tf.where(surplus > 0, threshold, low)
        high = tf.where(surplus > 0, high, threshold)
        newton = threshold + tf.math.divide_no_nan(surplus, slope)
        middle = (low + high) / 2.0
        is_inside = (slope > 0) & (newton > low) & (newton < high)
        following = tf.where(is_inside, newton, middle)
        # Close enough, or no number left between the ends.
        going &= tf.abs(surplus) > _TOLERANCE * wanted
        going &= (middle > low) & (middle < high)
        return count + 1, low, high, tf.where(going, following, threshold), going

    none = tf.zeros_like(wanted)
    is_outside = surplus_at(none)[0] > 0
    largest = tf.reduce_max(size, axis=axes, keepdims=True)
    _, _, high, threshold, _ = tf.while_loop(
        lambda count, low, high, threshold, going: (
            (count < _MAX_STEPS) & tf.reduce_any(going)
        ),
        step,
        (0, none, largest, none, is_outside),
        parallel_iterations=1,
    )
    # The last threshold meets eps up to rounding; if none could, the upper end does.
    is_met = surplus_at(threshold)[0] <= _TOLERANCE * wanted
    return tf.where(is_outside, tf.where(is_met, threshold, high), 0.0)
