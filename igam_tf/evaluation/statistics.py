"""What numbers of images can say: intervals of an accuracy, and paired decisions."""

import math

import numpy as np

_Z_95 = 1.959963984540054
#: Largest p-value that counts: several checks look at the same images.
LEVEL = 1e-3
#: Fewest images of which a majority can be beyond chance at that level.
LEAST_IMAGES = math.ceil(-math.log2(LEVEL))


def wilson_interval(
    num_correct: int, num_examples: int, z: float = _Z_95
) -> tuple[float, float]:
    """Wilson's score interval of a proportion (95 % by default).

    It stays inside [0, 1] and is honest at 0 % and 100 %, where the usual normal
    approximation has a width of zero.

    Args:
        num_correct: number of successes.
        num_examples: number of trials, at least 1.
        z: quantile of the normal distribution.

    Returns:
        Tuple (low, high) of fractions.

    Raises:
        ValueError: if there are no trials.
    """
    if num_examples < 1:
        raise ValueError("an accuracy of zero images: expected at least one image.")
    p = num_correct / num_examples
    weight = z * z / num_examples
    middle = p + weight / 2
    half = z * math.sqrt(p * (1 - p) / num_examples + weight / (4 * num_examples))
    low, high = (middle - half) / (1 + weight), (middle + half) / (1 + weight)
    return max(0.0, min(low, p)), min(1.0, max(high, p))


def proportion(num_correct: int, num_examples: int) -> dict:
    """An accuracy with its interval, ready for JSON.

    Args:
        num_correct: number of images that are right.
        num_examples: number of images, at least 1.

    Returns:
        Dict with "accuracy", "num_correct", "num_examples" and "interval_95".
    """
    return {
        "accuracy": num_correct / num_examples,
        "num_correct": num_correct,
        "num_examples": num_examples,
        "interval_95": list(wilson_interval(num_correct, num_examples)),
    }


def exact_mcnemar(first_only: int, second_only: int) -> float:
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


def clearly_more(
    first: np.ndarray, second: np.ndarray, *, at_least: float, level: float = LEVEL
) -> bool:
    """Whether one outcome is more frequent than another, by much and not by chance.

    Args:
        first: bool array (n,), the one outcome of each image.
        second: bool array (n,), the other outcome of the same images.
        at_least: share of the images by which the first has to be more frequent.
        level: the largest p value of the exact McNemar test.

    Returns:
        bool.
    """
    first_only, second_only = (first & ~second).sum(), (second & ~first).sum()
    gain = first_only - second_only
    if gain <= 0 or gain < at_least * len(first):
        return False
    return exact_mcnemar(first_only, second_only) <= level


def decision(at_least: float) -> str:
    """What `clearly_more` asks for, in words."""
    return f"{at_least:.0%} of the images, and p <= {LEVEL:g} (exact McNemar test)"
