"""Two models compared under common corruptions, image by image."""

import numpy as np

from igam_tf.evaluation.corruptions.relative import check_same_corruptions
from igam_tf.evaluation.outcomes import unpacked
from igam_tf.evaluation.paired import mean_difference

#: The mean over all corruptions.
MEAN = "mean"


def compare_corruptions(
    first: dict, second: dict, *, confidence: float = 0.95
) -> dict[str, dict]:
    """Compares two evaluations of the same corrupted images.

    Of an image the severities and corruptions are not independent draws, so that
    McNemar's test must not count each as one. What varies is the image: the share of
    its corrupted forms that a model gets right is compared, by a paired t test.
    (`igam_tf.evaluation.compare` takes one corruption at one severity, "fog-3", by the
    exact McNemar test.)

    Args:
        first, second: "corruptions" of two results of `igam_tf.evaluate`.
        confidence: of the intervals; the test decides at 1 - confidence.

    Returns:
        Dict, ready for JSON, from each corruption, and "mean" for all of them, to
        "first" and "second" (accuracies), "difference", its "interval", "p_value" and
        "decided", 1 or -1 where the first is the better or the worse one, 0 where it is
        undecided.

    Raises:
        ValueError: if corruptions, severities or images differ: the mean over some of
            them is not that of either result.
    """
    _check(first, second)
    shares = {
        kind: [_shares(result, kind) for result in (first, second)]
        for kind in first["kinds"]
    }
    means = [np.mean([pair[which] for pair in shares.values()], axis=0)
             for which in (0, 1)]  # fmt: skip
    return {
        name: mean_difference(one, other, confidence)
        for name, (one, other) in {**shares, MEAN: means}.items()
    }


def _check(first, second):
    if first["source"] != second["source"]:
        raise ValueError(
            f"the corrupted images of the two results are {first['source']} and "
            f"{second['source']}: expected the same; evaluate both on the same "
            "--corruptions."
        )
    check_same_corruptions(first, second)
    if first["outcomes"]["images"] != second["outcomes"]["images"]:
        raise ValueError(
            "the two results are of different corrupted images, or of another order of "
            "them: expected the same; evaluate both on the same data."
        )


def _shares(result, kind):
    """For each image the share of severities at which it is right."""
    correct, count = result["outcomes"]["correct"], result["num_examples"]
    bits = [unpacked(correct[f"{kind}-{s}"], count) for s in result["severities"]]
    return np.mean(bits, axis=0)
