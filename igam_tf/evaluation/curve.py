"""The robust accuracy at every eps, from the smallest perturbation of each image."""

import base64
from collections.abc import Sequence

import numpy as np

#: Of the eps of an evaluation: where a result says the robust accuracy in numbers.
MULTIPLES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0)


def packed_distances(distances: np.ndarray) -> str:
    """Distances (n,) as text: float32, little-endian, in base64."""
    return base64.b64encode(np.asarray(distances, "<f4").tobytes()).decode("ascii")


def unpacked_distances(text: str, num_examples: int) -> np.ndarray:
    """The float32 array (num_examples,) of a `packed_distances` text.

    Raises:
        ValueError: if the text holds another number of images.
    """
    values = np.frombuffer(base64.b64decode(text), "<f4")
    if len(values) != num_examples:
        raise ValueError(
            f"distances of {len(values)} images where {num_examples} were expected; "
            "evaluate the model again."
        )
    return values.astype(np.float32)


def accuracies_at(distances: np.ndarray, eps: Sequence[float]) -> list[float]:
    """The share of images whose smallest perturbation is larger than each eps.

    It cannot rise with eps, because all shares are of the same distances.

    Args:
        distances: float array (n,); 0 for what is misclassified as it is, infinity
            where nothing was found.
        eps: radii.

    Returns:
        List of fractions.
    """
    # In the precision of the distances, or 8/255 would be more than itself.
    radii = np.asarray(eps, np.float32)
    return [float((distances > radius).mean()) for radius in radii]


def robust_curve(result: dict, attack: str, eps: Sequence[float]) -> list[float]:
    """The robust accuracy at any eps, from one evaluation.

    Args:
        result: of `igam_tf.evaluate`.
        attack: key of its "attacks", one that measured distances ("fmn", "ddn").
        eps: radii in the result's norm.

    Returns:
        List of accuracies, one for each eps: upper bounds, as of any attack.

    Raises:
        ValueError: if the result has no distances of the attack.
    """
    return accuracies_at(distances_of(result, attack), eps)


def distances_of(result: dict, attack: str) -> np.ndarray:
    """The smallest perturbation of each image under an attack, float32 (n,).

    Args:
        result: of `igam_tf.evaluate`.
        attack: key of its "attacks", one that measured distances.

    Returns:
        Array: 0 for what is misclassified as it is, infinity where nothing was found.

    Raises:
        ValueError: if the result has no distances of the attack.
    """
    known = result.get("outcomes", {}).get("distances", {})
    if attack not in known:
        has = ", ".join(known) or "none"
        raise ValueError(
            f"the result has no distances of {attack!r} (it has: {has}); evaluate with "
            "an attack that looks for the smallest perturbation: fmn, or ddn in L2."
        )
    return unpacked_distances(known[attack], result["num_examples"])


def summary(distances: np.ndarray, eps: float) -> dict:
    """What an attack's entry says of its distances, ready for JSON.

    Args:
        distances: float32 array (n,), at least one image.
        eps: radius of the evaluation.

    Returns:
        Dict with "median_distance" of the images that are right when clean (None if
        there are none, or if more than half of them were never misled) and "curve":
        "eps" and "accuracy", lists of equal length.
    """
    right = distances[distances > 0]
    median = float(np.median(right)) if len(right) else np.inf
    radii = sorted({float(eps) * multiple for multiple in MULTIPLES})
    return {
        "median_distance": median if np.isfinite(median) else None,
        "curve": {"eps": radii, "accuracy": accuracies_at(distances, radii)},
    }
