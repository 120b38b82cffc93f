"""Losses an attack maximises: one number an image, larger is worse for the model."""

import tensorflow as tf

# MadryLab's Carlini-Wagner loss stops once another class leads by this many logits.
CONFIDENCE = 50.0


def cross_entropy(logits, labels):
    """Softmax cross entropy of each image.

    Args:
        logits: float tensor (batch, classes).
        labels: integer tensor (batch,).

    Returns:
        Float tensor (batch,).
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def cw_margin(logits, labels):
    """Minus the margin by which the correct logit leads, as MadryLab's `cw` loss.

    The margin is clamped below at -50: an image misclassified by that much is left
    alone.

    Args:
        logits: float tensor (batch, classes).
        labels: integer tensor (batch,).

    Returns:
        Float tensor (batch,).
    """
    is_correct = tf.one_hot(labels, logits.shape[1], on_value=True, off_value=False)
    correct = tf.gather(logits, labels, axis=1, batch_dims=1)
    wrong = tf.reduce_max(tf.where(is_correct, logits.dtype.min, logits), axis=1)
    return -tf.nn.relu(correct - wrong + CONFIDENCE)


LOSSES = {"cross_entropy": cross_entropy, "cw_margin": cw_margin}
