"""Is the model one for images in another range than [0, 1]?"""

import keras
import numpy as np

from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.evaluation.batches import Data, batches, padded
from igam_tf.evaluation.statistics import LEVEL, clearly_more, wilson_interval

# What images in [0, 1] are turned into, and the layer that does it.
_RANGES = {
    "[0, 255]": (255.0, 0.0),
    "[-1, 1]": (2.0, -1.0),
    "[0, 1/255]": (1 / 255, 0.0),
}
# The same, as `igam-tf evaluate` is told.
_FLAGS = {
    "[0, 255]": "pass --input_range=0,255",
    "[-1, 1]": "pass --input_range=-1,1",
    "[0, 1/255]": "leave --input_range=0,255 out, or pass --input_range=0,1/255",
}
_NUM_EXAMPLES = 128
# A fifth of the images: a model is not a little better on what it was not made for.
_GAIN = 0.2
# Of fewer images a test can say less. An alarm too many costs a look at the sentence;
# one too few leaves all numbers of a model of other images standing.
_LEVEL_OF_FEW = 0.01


def range_warnings(
    model: keras.Model, data: Data, *, batch_size: int, training: bool = False
) -> list[str]:
    """A sentence if the model is at chance on the images, and not in another range.

    Args:
        model: Keras model from images to logits.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays; its
            first 128 images are looked at.
        batch_size: number of images classified at once.
        training: bool, the mode of the model. A Dataset then keeps its batches.

    Returns:
        List of sentences. Nothing more than a look at the clean images is computed
        where these are right more often than by chance.
    """
    size = min(batch_size, _NUM_EXAMPLES)
    found = list(batches(data, size, max_examples=_NUM_EXAMPLES, as_given=training))
    if not found:
        return []
    labels = np.concatenate([labels for _, labels in found])
    right = _is_right(model, found, size, training, (1.0, 0.0))
    # The most that a model can have that always says the same.
    chance = np.bincount(np.maximum(labels, 0)).max() / len(labels)
    if _least(right) > chance:
        return []
    others = {
        name: _is_right(model, found, size, training, change)
        for name, change in _RANGES.items()
    }
    best = max(others, key=lambda name: others[name].sum())
    level = LEVEL if len(labels) >= _NUM_EXAMPLES else _LEVEL_OF_FEW
    is_better = clearly_more(others[best], right, at_least=_GAIN, level=level)
    if not is_better or _least(others[best]) <= chance:
        return []
    return [_sentence(right, best, others[best])]


def _least(right):
    """The lower end of the 95 % interval of an accuracy."""
    return wilson_interval(int(right.sum()), len(right))[0]


def _is_right(model, found, size, training, change):
    scale, offset = change
    right = []
    for images, labels in found:
        moved = np.float32(scale) * images + np.float32(offset)
        # Batches of one size, which are those of the evaluation: nothing is retraced.
        batch = moved if training else padded([moved], size)[0]
        logits = compiled_logits(model, batch, training)[: len(labels)]
        right.append((logits.argmax(axis=1) == labels) & ~np.isnan(logits).any(axis=1))
    return np.concatenate(right)


def _sentence(right, name, better):
    scale, offset = _RANGES[name]
    layer = f"keras.layers.Rescaling({scale:.6g}" + (
        f", {offset:g})" if offset else ")"
    )
    return (
        f"clean accuracy is {right.mean():.0%}, as by chance, on images in [0, 1], and "
        f"{better.mean():.0%} when the same images are brought to {name}: the model is "
        f"one for images in {name}, and nothing else that is said of it here counts; "
        f"{_FLAGS[name]} on the command line, or evaluate "
        f"keras.Sequential([keras.Input(image_shape), {layer}, model])."
    )
