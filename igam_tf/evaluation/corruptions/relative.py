"""mCE: errors under corruptions in terms of a baseline's; needs no TensorFlow."""

from collections.abc import Iterable


def relative_corruption_error(
    found: dict, baseline: dict, kinds: Iterable[str] | None = None
) -> float:
    """mCE: the mean over corruptions of a model's error divided by a baseline's.

    As the paper defines it, a corruption's errors are added up over severities, divided
    by the sum of the baseline's, and these ratios are averaged. The paper's baseline on
    ImageNet-C is AlexNet; there is none on CIFAR-10-C, where the mean error itself is
    usual ("mean_corruption_error").

    Args:
        found, baseline: results of `evaluate_corruptions`.
        kinds: names of corruptions that both have, or None for all.

    Returns:
        Fraction: 1 is the baseline itself, and less is better.

    Raises:
        ValueError: if they have other corruptions or severities, one of `kinds` is in
            neither or in one only, or the baseline makes no error in one of them.

    Source: Hendrycks & Dietterich, ICLR 2019, Section 4.1.
    """
    if kinds is None:
        names = list(found["kinds"])
        check_same_corruptions(found, baseline)
    else:
        names = _chosen(kinds, found, baseline)
        _check_same_severities(found, baseline)
    ratios = []
    for name in names:
        error = 1 - baseline["kinds"][name]["accuracy"]
        if error <= 0:
            raise ValueError(
                f"the baseline makes no error under {name}: expected some, to divide "
                "by; choose another baseline, or compare mean errors."
            )
        ratios.append((1 - found["kinds"][name]["accuracy"]) / error)
    return sum(ratios) / len(ratios)


def check_same_corruptions(first: dict, second: dict) -> None:
    """Raises ValueError unless two results are of the same corruptions and severities.

    Args:
        first, second: results of `evaluate_corruptions`.
    """
    only = []
    for place, one, other in (("first", first, second), ("second", second, first)):
        names = [kind for kind in one["kinds"] if kind not in other["kinds"]]
        if names:
            only.append(f"only the {place} has {', '.join(names)}")
    if only:
        raise ValueError(
            f"the two results are of other corruptions ({'; '.join(only)}): expected "
            "the same; evaluate both models on the same --corruptions."
        )
    _check_same_severities(first, second)


def _check_same_severities(first, second):
    severities = [sorted(result["severities"]) for result in (first, second)]
    if severities[0] != severities[1]:
        raise ValueError(
            f"the severities of the two results are {severities[0]} and "
            f"{severities[1]}: expected the same; evaluate both models at the same "
            "--severities."
        )


def _chosen(kinds, found, baseline):
    """The names among `kinds`, if both results have each of them."""
    names = [kinds] if isinstance(kinds, str) else list(kinds)
    both = [kind for kind in found["kinds"] if kind in baseline["kinds"]]
    if not names or len(set(names)) < len(names) or not set(names) <= set(both):
        raise ValueError(
            f"kinds are {', '.join(map(str, names)) or 'none'}: expected some of the "
            f"corruptions that both results have, each once: {', '.join(both)}."
        )
    return names
