"""Which classes images can be led to: success rates of targeted attacks by class."""

import numpy as np


def class_pairs(
    labels: np.ndarray, targets: np.ndarray, reached: np.ndarray, num_classes: int
) -> dict[str, list]:
    """Counts, for each true class and each target, of the images that reached it.

    Args:
        labels: int array (n,), of images that are right when clean.
        targets: int array (targets,), classes.
        reached: bool array (n, targets).
        num_classes: of the model.

    Returns:
        Dict, ready for JSON: "targets"; "num_images", of each true class; and
        "num_reached", a list for each true class of counts, one for each target.
    """
    one_hot = np.arange(num_classes)[:, None] == labels[None, :]
    return {
        "targets": targets.tolist(),
        "num_images": one_hot.sum(axis=1).tolist(),
        "num_reached": (one_hot.astype(int) @ reached.astype(int)).tolist(),
    }


def added(first: dict | None, second: dict) -> dict:
    """The counts of two portions of the images together."""
    if first is None:
        return second
    sums = {
        name: np.add(first[name], second[name]).tolist()
        for name in ("num_images", "num_reached")
    }
    return {"targets": second["targets"], **sums}


def success_rates(entry: dict) -> np.ndarray:
    """Success rates by class pair, of an attack's entry in a result.

    Args:
        entry: of a targeted attack ("pgd20-t"), `result["attacks"][name]`.

    Returns:
        Array (classes, targets): the share of the images of a class, right when clean,
        that were classified as the target somewhere in the ball. NaN where there were
        no images, and for a class as its own target.

    Raises:
        ValueError: if the entry has no class pairs.
    """
    if "class_pairs" not in entry:
        raise ValueError(
            "the entry has no class pairs: expected that of a targeted attack, such as "
            "pgd20-t or pgd(targets='all'), of a model in inference mode."
        )
    pairs = entry["class_pairs"]
    images = np.array(pairs["num_images"], float)[:, None]
    reached = np.array(pairs["num_reached"], float)
    own = np.arange(len(images))[:, None] == np.array(pairs["targets"])[None, :]
    return np.divide(
        reached, images, out=np.full_like(reached, np.nan), where=(images > 0) & ~own
    )
