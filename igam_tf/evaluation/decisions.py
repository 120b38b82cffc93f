"""Two outcomes on the same images: do they differ, and by enough to matter?"""

import math

#: Largest p-value that counts: several checks look at the same images.
LEVEL = 1e-3


def exact_mcnemar(first_only, second_only):
    """Chance of so large a majority, were both outcomes equally likely.

    Args:
        first_only: number of images with the first outcome and not the second.
        second_only: number of images with the second and not the first.

    Returns:
        One-sided p-value, a float: of at least `first_only` heads in as many throws of
        a coin as there are images with one outcome only. Source: McNemar (1947).
    """
    first_only, total = int(first_only), int(first_only) + int(second_only)
    tail = sum(math.comb(total, k) for k in range(first_only, total + 1))
    return tail / 2**total


def clearly_more(first, second, *, at_least):
    """Whether one outcome is more frequent than another, by much and not by chance.

    Args:
        first: bool array (n,), the one outcome of each image.
        second: bool array (n,), the other outcome of the same images.
        at_least: share of the images by which the first has to be more frequent.

    Returns:
        bool.
    """
    first_only, second_only = (first & ~second).sum(), (second & ~first).sum()
    gain = first_only - second_only
    if gain <= 0 or gain < at_least * len(first):
        return False
    return exact_mcnemar(first_only, second_only) <= LEVEL


def decision(at_least):
    """What `clearly_more` asks for, in words."""
    return f"{at_least:.0%} of the images, and p <= {LEVEL:g} (exact McNemar test)"
