"""Confidence intervals of accuracies."""

import math

_Z_95 = 1.959963984540054


def wilson_interval(num_correct, num_examples, z=_Z_95):
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


def proportion(num_correct, num_examples):
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
