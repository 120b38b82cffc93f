"""Step rules: from a gradient to the direction of one step, of length 1 in the norm.

A gradient of zero gives a step of zero. NaN stays NaN: a model with broken gradients
must not pass for a robust one.
"""

import tensorflow as tf


def sign_step(gradient):
    """Steepest ascent in Linf."""
    return tf.sign(gradient)


def l2_step(gradient):
    """Steepest ascent in L2: each image's gradient divided by its L2 norm.

    Gradients of confident models fall below 1e-20, where squares vanish in float32:
    they are brought to a largest entry of 1 first.
    """
    axes = list(range(1, gradient.shape.rank))
    largest = tf.reduce_max(tf.abs(gradient), axis=axes, keepdims=True)
    scaled = tf.math.divide_no_nan(gradient, largest)
    length = tf.sqrt(tf.reduce_sum(tf.square(scaled), axis=axes, keepdims=True))
    return tf.math.divide_no_nan(scaled, length)


STEPS = {"linf": sign_step, "l2": l2_step}
