"""The losses of a classification, one number for each image."""

import tensorflow as tf


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Softmax cross entropy of each image.

    Args:
        logits: float tensor (batch, classes).
        labels: integer tensor (batch,), or soft: float tensor (batch, classes) of rows
            that add up to 1.

    Returns:
        Float tensor (batch,).
    """
    if is_soft(labels):
        soft = tf.cast(labels, logits.dtype)
        return tf.nn.softmax_cross_entropy_with_logits(labels=soft, logits=logits)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)


def true_probability(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Softmax probability of each image's label; of a soft one its expectation.

    Args:
        logits: float tensor (batch, classes).
        labels: as of `cross_entropy`.

    Returns:
        Float tensor (batch,).
    """
    probabilities = tf.nn.softmax(logits)
    if is_soft(labels):
        return tf.reduce_sum(tf.cast(labels, logits.dtype) * probabilities, axis=1)
    return tf.gather(probabilities, labels, axis=1, batch_dims=1)


def is_soft(labels: tf.Tensor) -> bool:
    """Whether labels are shares of all classes, (batch, classes), and no numbers."""
    # Numbers in a column are none: a loss would broadcast them without a word.
    rank = getattr(labels, "ndim", 1)
    return rank == 2 and tf.as_dtype(labels.dtype).is_floating
