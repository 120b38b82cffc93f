"""The geometry of allowed images: steps, projections and random starts in a ball.

An adversarial image is at most eps away from its original, in Linf, L2 or L1, and stays
in the box [0, 1]. Everything that an attack needs to move about in there is here, but
for what is particular to L1 (`l1.py`).
"""

import math

import numpy as np
import tensorflow as tf

from igam_tf.attacks.l1 import project_l1, to_hyperplane_l1, uniform_l1

_MAX_NEWTON_STEPS = 60
_TOLERANCE = 1e-6
# Golden ratio of 2^32: seeds 0, 1, 2, ... of several runs share none of their restarts.
SEED_STRIDE = 0x9E3779B1 - 2**32
#: The norm in which a gradient is measured where changes are measured in the key.
DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}


# Steps: from a gradient to a direction of length 1 in the norm.


def sign_step(gradient: tf.Tensor) -> tf.Tensor:
    """Steepest ascent in Linf. A gradient of zero gives no step, and NaN stays NaN."""
    return tf.sign(gradient)


def l2_step(gradient: tf.Tensor) -> tf.Tensor:
    """Steepest ascent in L2: each image's gradient divided by its L2 norm.

    A gradient of zero gives no step; NaN stays NaN, because a model with NaN gradients
    must not pass for a robust one. Gradients of confident models fall below 1e-20,
    where squares vanish in float32: they are scaled to a largest entry of 1 first.
    """
    axes = _image_axes(gradient)
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    length = tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=axes, keepdims=True))
    return tf.math.divide_no_nan(scaled, length)


STEPS = {"linf": sign_step, "l2": l2_step}


# Projections: back to the ball, then to the box.


def project(
    images: tf.Tensor, originals: tf.Tensor, eps: tf.Tensor | float, norm: str
) -> tf.Tensor:
    """Projects images to the eps ball around the originals, and then to [0, 1].

    Clipping to [0, 1] last does not leave the ball, because its centre is an image too.

    Args:
        images: float tensor (batch, ...).
        originals: tensor like `images`, in [0, 1].
        eps: radius of the ball; a scalar, or one number an image, (batch, 1, 1, 1).
        norm: "linf", "l2" or "l1"; in L1 to the nearest point of both at once.

    Returns:
        Tensor like `images`.
    """
    if norm == "l1":
        return project_l1(images, originals, eps)
    if norm == "linf":
        inside = tf.clip_by_value(images, originals - eps, originals + eps)
    else:
        difference = images - originals
        shrink = eps / tf.maximum(lengths(difference, "l2"), eps + 1e-12)
        inside = originals + difference * shrink
    return tf.clip_by_value(inside, 0.0, 1.0)


def bounds(images: tf.Tensor, eps: tf.Tensor, norm: str) -> dict[str, tf.Tensor]:
    """What `within` needs of a state: the originals, and for Linf the box of each."""
    if norm != "linf":
        return {"images": images}
    lower, upper = tf.maximum(images - eps, 0.0), tf.minimum(images + eps, 1.0)
    return {"images": images, "lower": lower, "upper": upper}


def within(
    points: tf.Tensor, state: dict[str, tf.Tensor], eps: tf.Tensor, norm: str
) -> tf.Tensor:
    """As `project`, for a state that has `bounds`, which are computed only once."""
    if norm != "linf":
        return project(points, state["images"], eps, norm)
    return tf.minimum(tf.maximum(points, state["lower"]), state["upper"])


# Random starts, drawn from seeds alone: without state, whatever the batch.


def image_seeds(
    seed: int, first_index: int | np.ndarray, num_images: int
) -> np.ndarray:
    """One seed an image, from the run's seed and the image's place in the data set.

    Args:
        seed: integer, the seed of the run.
        first_index: place of the first image in its data set, or an array
            (num_images,): the place of each.
        num_images: number of images.

    Returns:
        int32 array (num_images, 2).
    """
    if np.ndim(first_index):
        indices = np.asarray(first_index, np.int32)
    else:
        first = int(first_index)
        indices = np.arange(first, first + num_images, dtype=np.int32)
    return np.stack([np.full_like(indices, seed), indices], axis=1)


def restart_seed(seed: int, restart: int) -> int:
    """The seed of one restart, so that it can be run alone.

    Args:
        seed: integer, the seed of the whole attack.
        restart: integer from 0; restart 0 has the seed itself.

    Returns:
        Integer in the range of int32.
    """
    return (seed + restart * SEED_STRIDE + 2**31) % 2**32 - 2**31


def uniform_in_ball(images: tf.Tensor, seed: tf.Tensor, norm: str) -> tf.Tensor:
    """Points drawn uniformly from the unit ball of a norm, one for each image.

    Args:
        images: float tensor (batch, ...), of known shape but for the batch.
        seed: int32 tensor [2], one draw for the batch, or [batch, 2], one seed an
            image: then an image's start does not depend on its batch.
        norm: "linf", "l2" or "l1".

    Returns:
        Tensor like `images`.
    """
    return _drawn(images, seed, _UNIT_BALLS[norm])


def normal_noise(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers like images; seeds as of `uniform_in_ball`."""
    return _drawn(images, seed, _normal)


def on_sphere(images: tf.Tensor, seeds: tf.Tensor, norm: str) -> tf.Tensor:
    """As `uniform_in_ball`, scaled to length 1 (as the authors of AutoAttack start)."""
    noise = uniform_in_ball(images, seeds, norm)
    return noise / tf.maximum(lengths(noise, norm), 1e-12)


def _drawn(images, seed, draw):
    shape = tf.shape(images)
    d = math.prod(images.shape[1:])
    if seed.shape.rank == 1:
        return tf.reshape(draw((shape[0], d), seed), shape)
    points = tf.map_fn(
        lambda image_seed: draw((1, d), image_seed)[0],
        seed,
        fn_output_signature=tf.float32,
    )
    return tf.reshape(points, shape)


def _normal(shape, seed):
    return tf.random.stateless_normal(shape, seed, alg="philox")


def _uniform_linf(shape, seed):
    return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")


def _uniform_l2(shape, seed):
    # The first d of d + 2 coordinates of a uniform point on a sphere are uniform in the
    # d-ball (Voelker et al. 2017): direction and radius^(1/d) in one draw.
    batch, d = shape
    normal = tf.random.stateless_normal([batch, d + 2], seed, alg="philox")
    return tf.math.l2_normalize(normal, axis=1)[:, :d]


_UNIT_BALLS = {"linf": _uniform_linf, "l2": _uniform_l2, "l1": uniform_l1}


# The nearest point of a hyperplane inside the box.


def to_hyperplane(
    points: tf.Tensor, normals: tf.Tensor, values: tf.Tensor, norm: str
) -> tf.Tensor:
    """The smallest changes that bring points to their hyperplanes inside the box.

    Every pixel moves against its normal's sign, by as much as the others or until it
    meets the box: by min(push, room) for Linf and min(push |w|, room) for L2. (In L1
    pixels move one after the other, see `l1.to_hyperplane_l1`.) Where the plane does
    not meet the box, the change goes to the corner nearest to it.

    Croce & Hein (2020, "Minimally distorted adversarial examples", Eq. 4) solve this by
    sorting all pixels. Here the one unknown, the push, is found by Newton's method: the
    value on the plane is a concave, piecewise linear function of it, so that the
    iterates rise to the root and meet it after a handful of steps.

    Args:
        points: float tensor (batch, d) in [0, 1].
        normals: float tensor (batch, d), the vectors w.
        values: float tensor (batch,): w . point minus the plane's offset.
        norm: "linf", "l2" or "l1", the norm of the change.

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
    if norm == "l1":
        return -tf.sign(normals) * to_hyperplane_l1(weights, room, tf.abs(values))
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


# One number an image.


def lengths(images: tf.Tensor, norm: str) -> tf.Tensor:
    """The norm of each image, in a shape (batch, 1, ...) that divides the images."""
    axes = _image_axes(images)
    if norm == "linf":
        return tf.reduce_max(tf.abs(images), axis=axes, keepdims=True)
    if norm == "l1":
        return tf.reduce_sum(tf.abs(images), axis=axes, keepdims=True)
    return tf.sqrt(tf.reduce_sum(tf.square(images), axis=axes, keepdims=True))


def flat_lengths(images: tf.Tensor, norm: str) -> tf.Tensor:
    """The norm of each image, (batch,)."""
    return tf.reshape(lengths(images, norm), [-1])


def per_image(values: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Values (batch,) in a shape that multiplies images (batch, ...)."""
    return tf.reshape(values, [-1] + [1] * (images.shape.rank - 1))


def where(mask: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    """`new` at the images of a mask (batch,), and `old` at the others."""
    # Whole images are copied; tf.where would broadcast the mask, five times slower.
    return tf.raw_ops.Select(condition=mask, x=new, y=old)


def _image_axes(images):
    return list(range(1, images.shape.rank))
