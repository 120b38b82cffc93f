"""How near an attack comes to the best that is known: AttackBench's optimality."""

from collections.abc import Mapping

import numpy as np


def best_distances(distances: Mapping[str, np.ndarray]) -> np.ndarray:
    """The smallest perturbation of each image that any of several attacks found.

    Args:
        distances: dict from attack to a float array (n,): 0 for an image that is
            misclassified as it is, infinity where nothing was found.

    Returns:
        Float array (n,).

    Raises:
        ValueError: if there are no attacks, or not equally many images of each.
    """
    sizes = {name: np.shape(values) for name, values in distances.items()}
    if not sizes or len(set(sizes.values())) > 1:
        raise ValueError(
            f"distances of {sizes}: expected at least one attack, and one distance for "
            "each of the same images."
        )
    return np.min(np.stack(list(distances.values())), axis=0)


def optimality(distances: np.ndarray, best: np.ndarray) -> float:
    """How much of the fall of the best known robustness curve an attack reaches.

    The curve is the share of images whose distance is larger than eps, up to the eps0
    at which the best one has lost every image that was ever misled. With A the area
    under the attack's curve, B that under the best one and c the clean accuracy:

        optimality = 1 - (A - B) / (c eps0 - B)

    Args:
        distances: float array (n,), of one attack; 0 for an image that is misclassified
            as it is, infinity where nothing was found.
        best: float array (n,), such as `best_distances`.

    Returns:
        1 for an attack that is nowhere behind the best, 0 for one that finds nothing up
        to eps0. Above 1 if `best` is not the best.

    Raises:
        ValueError: if the arrays do not fit, or no image was ever misled.

    Source: Cina, Rony, Pintor, Demetrio, Demontis, Biggio, Ben Ayed, Roli: AttackBench,
    AAAI 2025, "optimality". Areas are those of steps, and not of lines between them.
    """
    distances, best = np.asarray(distances, float), np.asarray(best, float)
    if distances.shape != best.shape or best.ndim != 1:
        raise ValueError(
            f"distances of shapes {distances.shape} and {best.shape}: expected one "
            "distance for each of the same images."
        )
    found = best[np.isfinite(best)]
    farthest = found.max(initial=0.0)
    if not farthest:
        raise ValueError(
            "no image was led from the right class to a wrong one by any attack: "
            "expected at least one finite distance above 0."
        )
    # The area under a curve of steps is the mean of the distances where it ends.
    area, least = (np.minimum(d, farthest).mean() for d in (distances, best))
    nothing = farthest * (best > 0).mean()
    if np.isclose(nothing, least):
        # All at one distance: the areas cannot tell who gets there.
        return float((distances <= best).all())
    return float(1 - (area - least) / (nothing - least))
