"""Losses an attack maximises: one number an image, larger is worse for the model.

The difference-of-logits ratio (DLR, Croce & Hein 2020, Eq. 6 and 7) does not change
when logits are shifted or scaled: logits of 1e4, whose cross entropy has no gradient
left in float32, do not fool it. It is undefined for very few classes (its denominator
needs three logits, or four if targeted); the plain margin takes its place there, which
is no loss: APGD uses only the direction of a gradient and the order of losses.
"""

import tensorflow as tf

from igam_tf.losses import cross_entropy

# MadryLab's Carlini-Wagner loss stops once another class leads by this many logits.
CONFIDENCE = 50.0
_TINY = 1e-12


def cw_margin(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Minus the margin by which the correct logit leads, as MadryLab's `cw` loss.

    The margin is clamped below at -50: an image misclassified by that much is left
    alone.

    Args:
        logits: float tensor (batch, classes).
        labels: integer tensor (batch,).

    Returns:
        Float tensor (batch,).
    """
    correct, wrong = _of(logits, labels), _best_wrong(logits, labels)
    return -tf.nn.relu(correct - wrong + CONFIDENCE)


#: The losses of FGSM and PGD: functions of logits and labels.
LOSSES = {"cross_entropy": cross_entropy, "cw_margin": cw_margin}


def dlr(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """DLR: minus the margin of the true class over the span of the top three logits.

    Args:
        logits: float tensor (batch, classes), at least 3 classes.
        labels: integer tensor (batch,).

    Returns:
        Float tensor (batch,).
    """
    top, indices = tf.math.top_k(logits, 3)
    other = tf.where(indices[:, 0] == labels, top[:, 1], top[:, 0])
    return (other - _of(logits, labels)) / (top[:, 0] - top[:, 2] + _TINY)


def dlr_targeted(logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Targeted DLR: the lead of the target class, over a span of the top four logits.

    Args:
        logits: float tensor (batch, classes), at least 4 classes.
        labels: integer tensor (batch,).
        targets: integer tensor (batch,), the class that should lead.

    Returns:
        Float tensor (batch,).
    """
    top = tf.math.top_k(logits, 4).values
    span = top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + _TINY
    return margin_targeted(logits, labels, targets) / span


def margin(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """The lead of the best wrong class over the true one, in logits (batch,)."""
    return _best_wrong(logits, labels) - _of(logits, labels)


def margin_targeted(
    logits: tf.Tensor, labels: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """The lead of the target class over the true one, in logits (batch,)."""
    return _of(logits, targets) - _of(logits, labels)


#: The losses of APGD: those of TARGETED take a target class for each image as well.
APGD_LOSSES = {
    "cross_entropy": cross_entropy,
    "dlr": dlr,
    "dlr_targeted": dlr_targeted,
    "margin": margin,
    "margin_targeted": margin_targeted,
}
TARGETED = ("dlr_targeted", "margin_targeted")

# How many classes a loss needs, and what takes its place where there are fewer.
_LEAST_CLASSES = {"dlr": 3, "dlr_targeted": 4}
_SUBSTITUTES = {"dlr": "margin", "dlr_targeted": "margin_targeted"}


def for_classes(loss: str, num_classes: int) -> str:
    """The name of the loss to use with so many classes: `loss` itself if defined."""
    if num_classes < _LEAST_CLASSES.get(loss, 0):
        return _SUBSTITUTES[loss]
    return loss


def _of(logits, classes):
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def _best_wrong(logits, labels):
    is_correct = tf.one_hot(labels, logits.shape[1], on_value=True, off_value=False)
    return tf.reduce_max(tf.where(is_correct, logits.dtype.min, logits), axis=1)
