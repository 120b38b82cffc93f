"""What an evaluation on common corruptions takes on this machine, by trying a few."""

import time

import keras
import numpy as np

from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.evaluation.corruptions.making import corrupted
from igam_tf.evaluation.corruptions.names import Corruptions
from igam_tf.evaluation.corruptions.sources import Files

# How severely images are corrupted to see how long it takes.
_SEVERITY = 3


def num_corrupted(
    corruptions: Corruptions, num_images: int | None, max_examples: int | None
) -> int | None:
    """Number of images of each corruption and severity, or None where nobody knows.

    Args:
        corruptions: what is asked for.
        num_images: images of the evaluation, of which corrupted ones are made, or None.
        max_examples: at most so many images of files; None for all.
    """
    if corruptions.folder is None:
        return num_images
    total = Files(corruptions).total
    return min(total, max_examples or total)


def seconds_an_image(
    model: keras.Model,
    corruptions: Corruptions,
    images: np.ndarray,
    *,
    batch_size: int,
) -> float:
    """Seconds that one image takes in all its corrupted forms, measured on a few.

    Args:
        model: Keras model from images to logits.
        corruptions: what is asked for.
        images: float32 array (n, height, width, channels) in [0, 1], at least one, such
            as the model takes; a few are enough.
        batch_size: images classified at once; compiled first, and not counted.

    Returns:
        Seconds. Reading files is not counted.
    """
    batch = np.resize(images, (batch_size, *images.shape[1:])).astype(np.float32)
    compiled_logits(model, batch)
    seconds = _seconds(lambda: compiled_logits(model, batch)) / batch_size
    found = seconds * len(corruptions.chosen) * len(corruptions.severities)
    if corruptions.folder is not None:
        return found
    making = [
        _seconds(lambda kind=kind: corrupted(images, kind, _SEVERITY))
        for kind in corruptions.chosen
    ]
    return found + sum(making) / len(images) * len(corruptions.severities)


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
