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
        kinds: names of corruptions, or None for all that both have.

    Returns:
        Fraction: 1 is the baseline itself, and less is better.

    Raises:
        ValueError: if they have other corruptions or severities, or the baseline makes
            no error in one of them.

    Source: Hendrycks & Dietterich, ICLR 2019, Section 4.1.
    """
    names = list(found["kinds"] if kinds is None else kinds)
    if found["severities"] != baseline["severities"] or (
        kinds is None and set(names) != set(baseline["kinds"])
    ):
        raise ValueError(
            "the two results are of other corruptions or severities "
            f"({', '.join(found['kinds'])} at {found['severities']}; "
            f"{', '.join(baseline['kinds'])} at {baseline['severities']}): expected "
            "the same; evaluate both models on the same --corruptions."
        )
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
