"""Attacks that were asked for, against each other: the stronger must not do worse.

After Athalye et al. (2018) and Carlini et al. (2019). `panel/` looks much closer, at
fewer images.
"""


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


def _ordered_pairs(attacks):
    """Pairs of names (weaker, stronger) of one family."""
    for weak, a in attacks.items():
        for strong, b in attacks.items():
            if a is None or b is None or a.family is None or a.family != b.family:
                continue
            no_less = all(x <= y for x, y in zip(a.effort, b.effort, strict=True))
            if no_less and a.effort != b.effort and b.covers_ball:
                yield weak, strong
