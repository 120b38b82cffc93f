"""Signs of gradient masking: robustness that only hides from the attack.

After Athalye et al. (2018) and Carlini et al. (2019): a stronger attack must not do
worse than a weaker one, and an attack cannot follow a gradient that vanishes.
"""

import tensorflow as tf

from igam_tf.attacks.classifier import logits_of
from igam_tf.attacks.compilation import compiled
from igam_tf.attacks.losses import cross_entropy


def order_warnings(attacks, entries):
    """Sentences about attacks that did worse than weaker ones of their kind.

    Args:
        attacks: dict from name to attack (None for clean).
        entries: dict from name to a result with "accuracy" and "interval_95".

    Returns:
        List of sentences; empty where the order is as it must be, up to the interval.
    """
    sentences = []
    for weak, strong in _ordered_pairs(attacks):
        low = entries[weak]["accuracy"]
        high = entries[strong]["accuracy"]
        if high > entries[weak]["interval_95"][1]:
            sentences.append(
                f"{strong} leaves {high:.1%} of the images standing, the weaker {weak} "
                f"only {low:.1%}: gradients mislead the attack (gradient masking), and "
                "the true robust accuracy is below both."
            )
    return sentences


def gradient_warnings(model, images, labels, is_correct, training):
    """Sentences about images whose loss has no gradient for an attack to follow.

    Args:
        model: Keras model.
        images: float32 array (batch, ...).
        labels: int32 array (batch,).
        is_correct: bool array (batch,): the images that an attack has to break.
        training: bool, the mode of the model.

    Returns:
        List of sentences; empty where every such image has a gradient.
    """

    def largest_entries(model, images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            loss = tf.reduce_sum(
                cross_entropy(logits_of(model, images, training), labels)
            )
        gradient = tape.gradient(
            loss, images, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return tf.reduce_max(tf.abs(gradient), axis=range(1, images.shape.rank))

    function = compiled(model, ("largest gradient", training), largest_entries)
    largest = function(tf.constant(images), tf.constant(labels)).numpy()
    blind = int(((largest == 0) & is_correct).sum())
    if not blind:
        return []
    return [
        f"the gradient of the loss is exactly zero at {blind} of the first "
        f"{int(is_correct.sum())} images that are classified correctly: gradient "
        "attacks are blind there, and what they leave standing is not robust."
    ]


def _ordered_pairs(attacks):
    """Pairs of names (weaker, stronger) of one family."""
    for weak, a in attacks.items():
        for strong, b in attacks.items():
            if a is None or b is None or a.family is None or a.family != b.family:
                continue
            no_less = all(x <= y for x, y in zip(a.effort, b.effort, strict=True))
            if no_less and a.effort != b.effort and b.covers_ball:
                yield weak, strong
