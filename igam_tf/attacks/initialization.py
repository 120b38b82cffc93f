"""Random starts, drawn from seeds alone: no state, no dependence on the batch."""

import math

import numpy as np
import tensorflow as tf


def image_seeds(seed, first_index, num_images):
    """One seed an image, from the run's seed and the image's place in the data set.

    Args:
        seed: integer, seed of the run.
        first_index: integer, place of the first image in its data set.
        num_images: integer.

    Returns:
        int32 array (num_images, 2).
    """
    indices = np.arange(first_index, first_index + num_images, dtype=np.int32)
    return np.stack([np.full_like(indices, seed), indices], axis=1)


def uniform_linf(shape, seed):
    """Uniform in the Linf ball of radius 1: tensor (batch, d) from one seed [2]."""
    return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")


def uniform_l2(shape, seed):
    """Uniform in the L2 ball of radius 1: tensor (batch, d) from one seed [2].

    The first d of d + 2 coordinates of a uniform point on a sphere are uniform in the
    d-ball (Voelker et al. 2017): direction and radius^(1/d) in one draw.
    """
    batch, d = shape
    normal = tf.random.stateless_normal([batch, d + 2], seed, alg="philox")
    return tf.math.l2_normalize(normal, axis=1)[:, :d]


UNIT_BALLS = {"linf": uniform_linf, "l2": uniform_l2}


def uniform_in_ball(images, seed, norm):
    """Points drawn uniformly from the unit ball of a norm, one for each image.

    Args:
        images: float tensor (batch, ...), known but for the batch.
        seed: int32 tensor [2], one draw for the batch, or [batch, 2], one seed an
            image: then an image's start does not depend on its batch.
        norm: "linf" or "l2".

    Returns:
        Tensor like `images`.
    """
    draw = UNIT_BALLS[norm]
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
