"""Signs of masked gradients that cost nothing to look for.

The model's precision, and the attacks that were asked for against each other: the
stronger must not do worse (Athalye et al. 2018, Carlini et al. 2019). The panel looks
much closer, at fewer images.
"""

import keras

from igam_tf import models
from igam_tf.attacks import Attack
from igam_tf.attacks.fractions import fraction


def precision_warnings(model: keras.Model) -> list[str]:
    """A sentence if gradients of confident images vanish in the model's precision."""
    if models.compute_dtype(model) != "float16":
        return []
    return [
        "the model computes in float16, in which gradients within the network may be "
        "zero: attacks may fail there and accuracy be too high; evaluate "
        "igam_tf.models.in_float32(model)."
    ]


def order_warnings(
    attacks: dict[str, Attack | None], entries: dict[str, dict]
) -> list[str]:
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
                f"{strong} leaves {high:.1%} of the images robust, the weaker {weak} "
                f"only {low:.1%}: gradients mislead the attack (gradient masking), and "
                "the true robust accuracy is below both."
            )
    return sentences


def reach_warnings(attacks: dict[str, Attack | None]) -> list[str]:
    """Sentences about attacks whose steps end inside of the ball.

    Args:
        attacks: dict from name to attack (None for clean).

    Returns:
        List of sentences; empty where every attack can reach the radius.
    """
    sentences = []
    for name, attack in attacks.items():
        attack = getattr(attack, "attack", attack)
        step = getattr(attack, "step_size", None)
        if (
            attack is None
            or step is None
            or attack.num_steps * step >= attack.eps * (1 - 1e-6)
        ):
            continue
        sentences.append(
            f"{name}: {attack.num_steps} steps of {fraction(step)} end inside of the "
            f"ball of radius {fraction(attack.eps)}, so that robust accuracy is too "
            "high; take a larger step_size, such as eps / 4, or more steps."
        )
    return sentences


def _ordered_pairs(attacks):
    """Pairs of names (weaker, stronger) of one family."""
    for weak, a in attacks.items():
        for strong, b in attacks.items():
            if a is None or b is None or a.family is None or a.family != b.family:
                continue
            if (a.eps, a.norm) != (b.eps, b.norm):
                continue
            no_less = all(x <= y for x, y in zip(a.effort, b.effort, strict=True))
            if no_less and a.effort != b.effort and b.covers_ball:
                yield weak, strong
