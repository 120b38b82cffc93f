"""Counts the images for which a bound proves that nothing in the ball misleads."""

import time

import keras
import numpy as np

from igam_tf.attacks import checks
from igam_tf.data import check_labels
from igam_tf.evaluation.batches import Data, batches, num_images
from igam_tf.evaluation.outcomes import Digest, packed, unpacked
from igam_tf.evaluation.progress import Progress
from igam_tf.evaluation.statistics import proportion
from igam_tf.evaluation.verified.bounds import margins
from igam_tf.evaluation.verified.exact import decide
from igam_tf.evaluation.verified.network import PiecewiseLinear, read_network

#: Bounds below this share of the largest logit are rounding errors of a float32 model.
ROUNDING = 1e-5
_BATCH = 100


def verify(
    model: keras.Model | PiecewiseLinear,
    data: Data,
    *,
    eps: float = 8 / 255,
    norm: str = "linf",
    max_examples: int | None = None,
    progress: bool = True,
    exact_seconds: float = 0.0,
) -> dict:
    """A lower bound of the robust accuracy, for small networks of ReLUs.

    Args:
        model: Keras model from images to logits, of the layers that `read_network`
            knows; or what it returns.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays.
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
        max_examples: number of images to stop at, or None for all.
        progress: whether to show a progress bar.
        exact_seconds: seconds that a mixed-integer programme may take for each image
            that the bounds leave open (`exact.decide`; Linf); 0 for none.

    Returns:
        Dict, ready for JSON: "accuracy", "num_correct" (images that are right, and
        proved to be so in the whole ball), "num_examples", "interval_95", "method",
        "seconds", "outcomes"; with `exact_seconds` "num_open", images of which nothing
        is known.

    Raises:
        ValueError: if the model or an argument does not fit.
    """
    start = time.perf_counter()
    checks.one_of("norm", norm, ("linf", "l2", "l1"))
    checks.radius("eps", eps, norm)
    if not exact_seconds >= 0:
        raise ValueError(f"exact_seconds is {exact_seconds}: expected 0 or more.")
    if exact_seconds and norm != "linf":
        raise ValueError(
            f"exact_seconds is {exact_seconds} with norm {norm!r}: expected 'linf', "
            "whose ball is a box, or 0 for bounds alone."
        )
    network = model if isinstance(model, PiecewiseLinear) else read_network(model)
    bar = Progress(num_images(data, max_examples), ["verified"], progress)
    found: list[bool] = []
    num_open = 0
    digest = Digest()
    for images, labels in batches(data, _BATCH, max_examples=max_examples):
        check_labels(labels, len(network.layers[-1][1]))
        logits = network(images)
        for image, label, clean in zip(images, labels, logits):
            what = network, image, int(label), clean
            known = _known(*what, eps, norm, exact_seconds)
            found.append(known == "robust")
            num_open += known == "open"
        digest.add(images, labels)
        bar.update(len(found), {"verified": float(np.mean(found))})
    bar.close()
    if not found:
        raise ValueError("data has no images: expected at least one to verify.")
    return {
        **proportion(sum(found), len(found)),
        "method": f"CROWN, {len(network.layers) - 1} layers of ReLUs"
        + (f", and MILP of {exact_seconds:g} s" if exact_seconds else ""),
        **({"num_open": num_open} if exact_seconds else {}),
        "seconds": round(time.perf_counter() - start, 3),
        "outcomes": {
            "images": digest.state,
            "correct": {"verified": packed(np.array(found))},
        },
    }


def contradictions(result: dict) -> list[str]:
    """A sentence if an attack misled the model on an image that is verified.

    Args:
        result: of `igam_tf.evaluate`, with "verified".
    """
    count = result["num_examples"]
    proved, robust = (
        unpacked(outcomes["correct"][name], count)
        for outcomes, name in (
            (result["verified"]["outcomes"], "verified"),
            (result["outcomes"], "worst_case"),
        )
    )
    wrong = int((proved & ~robust).sum())
    if not wrong:
        return []
    return [
        f"{wrong} images are verified, and yet an attack misled the model: it does not "
        "compute what its weights say, as random or half-precision layers do not, and "
        "the bound does not hold."
    ]


def _known(network, image, label, logits, eps, norm, exact_seconds):
    """ "robust", "misled", or "open" where neither is known."""
    if logits.argmax() != label:
        return "misled"
    rounding = ROUNDING * max(1.0, np.abs(logits).max())
    if margins(network, image, label, eps, norm).min() > rounding:
        return "robust"
    if not exact_seconds:
        return "open"
    return decide(network, image, label, eps, seconds=exact_seconds, slack=rounding)
