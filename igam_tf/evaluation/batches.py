"""Data to evaluate on, as checked NumPy batches, one at a time.

Data without an end is refused where it says so, and noticed where it repeats itself.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks.checks import images_and_labels, whole_number
from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.data.batches import damage_named, without_tuning

# Images in a row that come again as they came first; copies of each image that a data
# set may hold, and how many images it takes to say so.
_IN_A_ROW, _COPIES, _AT_LEAST = 32, 3, 1000

#: Modes of a model: moving statistics, or those of each batch.
BATCH_NORM = ("inference", "batch")
#: What is evaluated: batches of (images, labels), or a pair of arrays.
Data: TypeAlias = tf.data.Dataset | tuple[np.ndarray, np.ndarray]


def batches(
    data: Data,
    batch_size: int,
    *,
    max_examples: int | None = None,
    as_given: bool = False,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields checked batches of images and labels.

    Args:
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays.
        batch_size: number of images of a batch; the last one may be smaller.
        max_examples: number of images after which to stop, or None for all.
        as_given: whether a Dataset keeps the batches that it comes with.

    Yields:
        Tuples (float32 array (batch, ...), int32 array (batch,)).

    Raises:
        ValueError: if the data has another structure, or images or labels are bad.
    """
    check_max_examples(max_examples)
    remaining = math.inf if max_examples is None else max_examples
    for images, labels in _raw_batches(data, batch_size, as_given):
        images, labels = images_and_labels(images, labels)
        keep = int(min(remaining, len(images)))
        yield images[:keep], labels[:keep]
        remaining -= keep
        if remaining == 0:
            return


def num_images(data: Data, max_examples: int | None = None) -> int | None:
    """Number of images that `batches` yields at most, or None where nobody knows.

    The last batch of a Dataset may be smaller: what is said here is for progress bars
    and nothing else.
    """
    if not isinstance(data, tf.data.Dataset):
        return min(len(data[0]), max_examples or len(data[0]))
    cardinality = data.cardinality().numpy()
    if cardinality < 0:
        return max_examples
    images = [len(batch[0]) for batch in data.take(1)]
    most = int(cardinality) * sum(images)
    return min(most, max_examples or most)


def padded(arrays: Sequence[np.ndarray], batch_size: int) -> list[np.ndarray]:
    """Fills the arrays of a batch up to `batch_size` by repeating its images.

    Real images rather than zeros: a constant image is a point where normalisations
    may not be differentiable.
    """
    index = np.resize(np.arange(len(arrays[0])), batch_size)
    return [array[index] for array in arrays]


def by_batch(
    call: Callable[..., np.ndarray],
    arrays: Sequence[np.ndarray],
    sizes: Sequence[int],
    *,
    padded_size: int | None = None,
) -> np.ndarray:
    """Calls a function with one batch after the other, and joins what it returns.

    Args:
        call: takes the place of the batch's first image and a part of each array;
            returns an array with one row an image.
        arrays: arrays of equal length.
        sizes: sizes of the batches; they sum up to that length.
        padded_size: size to fill batches up to, so that nothing is retraced for the
            last one; None to leave them as they are.

    Returns:
        Array with one row an image.
    """
    results, start = [], 0
    for size in sizes:
        batch = [array[start : start + size] for array in arrays]
        if padded_size is not None:
            batch = padded(batch, padded_size)
        results.append(call(start, *batch)[:size])
        start += size
    return np.concatenate(results)


def finite_logits(
    model: keras.Model, images: np.ndarray, training: bool, what: str
) -> np.ndarray:
    """Logits of a batch as an array (batch, classes).

    Args:
        model: Keras model from images to logits.
        images: float32 array (batch, height, width, channels).
        training: bool, the mode of the model.
        what: what the images are, for the error.

    Raises:
        ValueError: if there is a NaN among the logits: an error, not a wrong answer.
    """
    logits = compiled_logits(model, images, training)
    if np.isnan(logits).any():
        raise ValueError(
            f"the model returns NaN for {what}: expected numbers, and no accuracy can "
            "be reported; look at how its weights were trained or loaded."
        )
    return logits


def fingerprints(images: np.ndarray, labels: np.ndarray) -> list[str]:
    """A short text for each image with its label, by which it is known again."""
    pairs = zip(images, np.asarray(labels).tolist(), strict=True)
    return [f"{_digest(image)}:{label}" for image, label in pairs]


def _digest(image):
    return hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()[:16]


def check_data(data: Data) -> None:
    """Raises ValueError unless `data` is a Dataset of batches or a pair of arrays."""
    if isinstance(data, tf.data.Dataset):
        spec = data.element_spec
        if not isinstance(spec, tuple) or len(spec) != 2 or _rank(spec[0]) != 4:
            raise ValueError(
                f"the data set yields {spec}: expected batches (images, labels); use "
                "data.map(...) to choose the two, and data.batch(...) to batch them."
            )
    elif not isinstance(data, (tuple, list)) or len(data) != 2:
        raise ValueError(
            f"data is {type(data).__name__}: expected a tf.data.Dataset of batches "
            "(images, labels), or a pair of arrays (images, labels)."
        )
    elif len(data[0]) != len(data[1]):
        raise ValueError(
            f"data has {len(data[0])} images and {len(data[1])} labels: expected one "
            "label an image."
        )


def check_ends(data: Data, max_examples: int | None) -> None:
    """Raises ValueError if a Dataset says that it has no end, and nothing stops it."""
    check_max_examples(max_examples)
    if max_examples is not None or not isinstance(data, tf.data.Dataset):
        return
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "the data set has no end (it ends in repeat()): expected each image once; "
            "leave repeat() out, or pass max_examples."
        )


def check_max_examples(max_examples: int | None) -> None:
    """Raises ValueError unless it is a number of images, or None for all."""
    if max_examples is not None:
        whole_number("max_examples", max_examples, 1)


class Repeats:
    """Notices that a data set of unknown length comes round again.

    Args:
        data: what is evaluated; only of a Dataset of unknown length are images kept in
            mind, 8 bytes each.
        max_examples: where the evaluation stops, or None.
    """

    def __init__(self, data: Data, max_examples: int | None) -> None:
        self._looks = (
            max_examples is None
            and isinstance(data, tf.data.Dataset)
            and data.cardinality() == tf.data.UNKNOWN_CARDINALITY
        )
        self._first: list[int] = []
        self._seen: set[int] = set()
        self._count = self._matched = 0

    def add(self, images: np.ndarray) -> None:
        """Takes note of a batch.

        Raises:
            ValueError: if the images so far are the same ones again and again.
        """
        if not self._looks:
            return
        for image in images:
            number = int(_digest(image), 16)
            self._count += 1
            if len(self._first) < _IN_A_ROW:
                self._first.append(number)
            else:
                self._follow(number)
            self._seen.add(number)
        if self._count >= max(_AT_LEAST, _COPIES * len(self._seen)):
            self._refuse()

    def _follow(self, number):
        """Counts how many of the first images have come again, in their order."""
        if number != self._first[self._matched]:
            self._matched = 0
        self._matched += number == self._first[self._matched]
        if self._matched == len(self._first):
            if len(set(self._first)) > 1:
                self._refuse()
            self._matched = 0

    def _refuse(self):
        raise ValueError(
            f"the data set repeats itself: {self._count} images so far, and "
            f"{len(self._seen)} different ones. Expected each image once; leave "
            "repeat() out, or pass max_examples."
        )


def _raw_batches(data, batch_size, as_given):
    if isinstance(data, tf.data.Dataset):
        batches = data if as_given else data.rebatch(batch_size)
        with damage_named():
            yield from without_tuning(batches).as_numpy_iterator()
        return
    images, labels = data
    for start in range(0, len(images), batch_size):
        stop = start + batch_size
        yield images[start:stop], labels[start:stop]


def _rank(spec):
    """Number of axes of a part of a data set; 4 where it does not say."""
    rank = spec.shape.rank if isinstance(spec, tf.TensorSpec) else 0
    return 4 if rank is None else rank
