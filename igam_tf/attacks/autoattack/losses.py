"""Losses of AutoAttack: one number an image, larger is worse for the model.

The difference-of-logits ratio (DLR, Croce & Hein 2020, Eq. 6 and 7) does not change
when logits are shifted or scaled: logits of 1e4, whose cross entropy has no gradient
left in float32, do not fool it. It is undefined for very few classes (its denominator
needs three logits, or four if targeted); the plain margin stands in for it there, which
is no loss: APGD uses only the direction of a gradient and the order of losses.
"""

import tensorflow as tf

from igam_tf.attacks.losses import cross_entropy

_TINY = 1e-12


def dlr(logits, labels, targets=None):
    """DLR: minus the margin of the true class over the span of the top three logits.

    Args:
        logits: float tensor (batch, classes), at least 3 classes.
        labels: integer tensor (batch,).
        targets: not used.

    Returns:
        Float tensor (batch,).
    """
    del targets
    top, indices = tf.math.top_k(logits, 3)
    other = tf.where(indices[:, 0] == labels, top[:, 1], top[:, 0])
    return (other - _of(logits, labels)) / (top[:, 0] - top[:, 2] + _TINY)


def dlr_targeted(logits, labels, targets):
    """Targeted DLR: the lead of the target class, over a span of the top four logits.

    Args:
        logits: float tensor (batch, classes), at least 4 classes.
        labels: integer tensor (batch,).
        targets: integer tensor (batch,), the class to lead to.

    Returns:
        Float tensor (batch,).
    """
    top = tf.math.top_k(logits, 4).values
    span = top[:, 0] - 0.5 * (top[:, 2] + top[:, 3]) + _TINY
    return margin_targeted(logits, labels, targets) / span


def margin(logits, labels, targets=None):
    """The lead of the best wrong class over the true one, in logits."""
    del targets
    is_correct = tf.one_hot(labels, logits.shape[1], on_value=True, off_value=False)
    wrong = tf.reduce_max(tf.where(is_correct, logits.dtype.min, logits), axis=1)
    return wrong - _of(logits, labels)


def margin_targeted(logits, labels, targets):
    """The lead of the target class over the true one, in logits."""
    return _of(logits, targets) - _of(logits, labels)


def _of(logits, classes):
    return tf.gather(logits, classes, axis=1, batch_dims=1)


def _cross_entropy(logits, labels, targets=None):
    del targets
    return cross_entropy(logits, labels)


LOSSES = {
    "cross_entropy": _cross_entropy,
    "dlr": dlr,
    "dlr_targeted": dlr_targeted,
    "margin": margin,
    "margin_targeted": margin_targeted,
}
TARGETED = ("dlr_targeted", "margin_targeted")

# Classes a loss needs, and what takes its place where there are fewer.
_LEAST_CLASSES = {"dlr": 3, "dlr_targeted": 4}
_SUBSTITUTES = {"dlr": "margin", "dlr_targeted": "margin_targeted"}


def for_classes(loss, num_classes):
    """The name of the loss to use with so many classes: `loss` itself if defined."""
    if num_classes < _LEAST_CLASSES.get(loss, 0):
        return _SUBSTITUTES[loss]
    return loss
