"""The losses of a classification, one number for each image."""

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy of each image.

    Args:
        logits: float tensor (batch, classes).
        labels: integer tensor (batch,).

    Returns:
        Float tensor (batch,).
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
