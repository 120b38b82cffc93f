"""Two classifiers on the same images: is the difference more than chance?"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from igam_tf.evaluation.outcomes import unpacked


def compare(
    first: dict, second: dict, attack: str = "worst_case", *, confidence: float = 0.95
) -> dict:
    """Compares two evaluations of the same images under one attack.

    The exact McNemar test asks whether the images that only one of the two gets right
    are divided evenly. The interval of the difference belongs to it: it leaves zero out
    exactly where the test rejects at the same level. It takes the number of these
    images as given, and says nothing of networks trained from other seeds.

    Args:
        first, second: results of `igam_tf.evaluate`.
        attack: key of their "attacks", or "worst_case"; or a corruption and its
            severity, such as "fog-3".
        confidence: of the interval; the test decides at 1 - confidence.

    Returns:
        Dict, ready for JSON: "num_examples", "first" and "second" (accuracies),
        "difference" (first minus second) and its "interval", "first_only" and
        "second_only" (numbers of images), "p_value" (two-sided) and "decided", 1 or -1
        where the first is the better or the worse one, 0 where it is undecided.

    Raises:
        ValueError: if either has no outcomes of the attack, or the images differ.

    Source: McNemar 1947; Clopper & Pearson 1934.
    """
    return compare_many([(first, second)], attack, confidence=confidence)


def compare_many(
    pairs: Sequence[tuple[dict, dict]],
    attack: str = "worst_case",
    *,
    confidence: float = 0.95,
) -> dict:
    """As `compare`, of several pairs at once, such as one a seed.

    What several networks make of one image are not independent draws, so that McNemar's
    test must not count each as one. Of several pairs each image counts once, with the
    mean difference over the pairs that saw it, by a paired t test. What is decided
    holds for these networks together.

    Args:
        pairs: list of tuples (first, second) of results of `igam_tf.evaluate`; each
            must share its images, and pairs are of the same test set or of other ones.
        attack, confidence: as in `compare`.

    Returns:
        Dict as of `compare` for one pair; of several one without "first_only" and
        "second_only", and with "num_pairs".
    """
    if len(pairs) == 1:
        first, second = _pair(*pairs[0], attack)
        of_pairs = _of_one_pair(first, second, confidence)
        return {"attack": attack, "num_examples": len(first), **of_pairs}
    by_images: dict[str, list] = {}
    for first, second in pairs:
        masks = np.array(_pair(first, second, attack))
        images = _outcomes(first, attack)[0]["images"]
        by_images.setdefault(images, []).append(masks)
    # The share of its networks that are right, of each image: [2, images].
    shares = [np.mean(masks, axis=0) for masks in by_images.values()]
    one, other = np.concatenate(shares, axis=1)
    return {
        "attack": attack,
        "num_examples": len(one),
        "num_pairs": len(pairs),
        **mean_difference(one, other, confidence),
    }


def mean_difference(one: np.ndarray, other: np.ndarray, confidence: float) -> dict:
    """Compares two means over the same images by the paired t test.

    Args:
        one, other: float arrays (n,), such as the share of several networks, or of an
            image's corrupted forms, that is right.
        confidence: of the interval; the test decides at 1 - confidence.

    Returns:
        Dict, ready for JSON: "first", "second", "difference", "interval", "confidence",
        "p_value" and "decided", as of `compare`.
    """
    differences = one - other
    mean, low, high, p_value = float(differences.mean()), 0.0, 0.0, 1.0
    if np.ptp(differences) > 0:
        found = stats.ttest_1samp(differences, 0.0)
        interval = found.confidence_interval(confidence)
        low, high = float(interval.low), float(interval.high)
        p_value = float(found.pvalue)
    elif mean:
        # All images differ alike: nothing to estimate a spread from, so the sign test.
        low, high, p_value = mean, mean, min(1.0, 2 * 0.5 ** len(differences))
    return {
        "first": float(one.mean()),
        "second": float(other.mean()),
        "difference": mean,
        "interval": [low, high],
        "confidence": confidence,
        "p_value": p_value,
        "decided": int(p_value < 1 - confidence) * int(np.sign(mean)),
    }


def _of_one_pair(first, second, confidence):
    total = len(first)
    first_only = int((first & ~second).sum())
    second_only = int((second & ~first).sum())
    p_value, (low, high) = _mcnemar(first_only, second_only, confidence)
    differing = first_only + second_only
    difference = (first_only - second_only) / total
    is_decided = p_value < 1 - confidence
    return {
        "first": int(first.sum()) / total,
        "second": int(second.sum()) / total,
        "difference": difference,
        "interval": [
            (2 * low - 1) * differing / total,
            (2 * high - 1) * differing / total,
        ],
        "confidence": confidence,
        "first_only": first_only,
        "second_only": second_only,
        "p_value": p_value,
        "decided": int(is_decided) * int(math.copysign(1, difference)),
    }


def attacks_of(result: dict) -> list[str]:
    """Attacks whose outcomes a result of `igam_tf.evaluate` keeps image by image."""
    return list(result.get("outcomes", {}).get("correct", {}))


def _mcnemar(first_only, second_only, confidence):
    """Two-sided p value, and the interval of the first's share of the differing images.

    Twice the smaller tail, as the Clopper-Pearson interval has it, so that both agree.
    """
    differing = first_only + second_only
    if not differing:
        return 1.0, (0.5, 0.5)
    tail = stats.binom.cdf(min(first_only, second_only), differing, 0.5)
    found = stats.binomtest(first_only, differing)
    interval = found.proportion_ci(confidence_level=confidence, method="exact")
    return min(1.0, 2 * float(tail)), (float(interval.low), float(interval.high))


def _pair(first, second, attack):
    held_out = [bool(result.get("held_out_fraction")) for result in (first, second)]
    if held_out[0] != held_out[1]:
        names = {True: "held-out training images", False: "test images"}
        raise ValueError(
            f"the first result is of {names[held_out[0]]}, the second of "
            f"{names[held_out[1]]}: expected both of the same images; settings are "
            "chosen on the former, and what was chosen is reported on the latter."
        )
    found = []
    for which, result in (("first", first), ("second", second)):
        outcomes, count = _outcomes(result, attack)
        if not outcomes or attack not in outcomes["correct"]:
            has = ", ".join(attacks_of(result)) or "none"
            raise ValueError(
                f"the {which} result has no outcomes under {attack!r} (it has: {has}); "
                "evaluate the model again, with this attack."
            )
        found.append(unpacked(outcomes["correct"][attack], count))
    images = [_outcomes(result, attack)[0]["images"] for result in (first, second)]
    if images[0] != images[1]:
        raise ValueError(
            "the two results are of different images, or of another order of them: "
            "expected the same test images; evaluate both on the same data."
        )
    return found


def _outcomes(result, attack):
    """Outcomes that have an attack, or else a corruption, and their number."""
    corrupted = result.get("corruptions") or {}
    if attack in corrupted.get("outcomes", {}).get("correct", {}):
        return corrupted["outcomes"], corrupted["num_examples"]
    return result.get("outcomes"), result["num_examples"]
