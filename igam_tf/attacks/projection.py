"""Projections back to the allowed images: the ball of size eps, then [0, 1].

Clipping to [0, 1] last does not leave the ball, because its centre is an image too.
"""

import tensorflow as tf


def linf_ball(images, originals, eps):
    """Nearest images with every pixel within eps of the originals."""
    return tf.clip_by_value(images, originals - eps, originals + eps)


def l2_ball(images, originals, eps):
    """Nearest images with an L2 distance to the originals of at most eps."""
    difference = images - originals
    axes = list(range(1, images.shape.rank))
    length = tf.sqrt(tf.reduce_sum(tf.square(difference), axis=axes, keepdims=True))
    return originals + difference * (eps / tf.maximum(length, eps + 1e-12))


BALLS = {"linf": linf_ball, "l2": l2_ball}


def project(images, originals, eps, norm):
    """Projects images to the eps ball around the originals, and to [0, 1].

    Args:
        images: float tensor (batch, ...).
        originals: tensor like `images`, in [0, 1].
        eps: scalar, radius of the ball.
        norm: "linf" or "l2".

    Returns:
        Tensor like `images`.
    """
    return tf.clip_by_value(BALLS[norm](images, originals, eps), 0.0, 1.0)
