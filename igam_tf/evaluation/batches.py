"""Data to evaluate on, as checked NumPy batches, one at a time."""

import hashlib
import math

import numpy as np
import tensorflow as tf

from igam_tf.attacks.checks import images_and_labels


def batches(data, batch_size, *, max_examples=None, as_given=False):
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
    remaining = math.inf if max_examples is None else max_examples
    for images, labels in _raw_batches(data, batch_size, as_given):
        images, labels = images_and_labels(images, labels)
        keep = int(min(remaining, len(images)))
        yield images[:keep], labels[:keep]
        remaining -= keep
        if remaining == 0:
            return


def num_images(data, max_examples=None):
    """Number of images that `batches` yields at most, or None where nobody knows.

    The last batch of a Dataset may be smaller: what is said here is for progress bars
    and nothing else.
    """
    if not isinstance(data, tf.data.Dataset):
        return min(len(data[0]), max_examples or math.inf)
    cardinality = data.cardinality().numpy()
    if cardinality < 0:
        return max_examples
    first = next(iter(data.take(1)), ([],))[0]
    return min(int(cardinality) * len(first), max_examples or math.inf)


def padded(arrays, batch_size):
    """Fills the arrays of a batch up to `batch_size` by repeating its images.

    Real images rather than zeros: a constant image is a point where normalisations
    may not be differentiable.
    """
    index = np.resize(np.arange(len(arrays[0])), batch_size)
    return [array[index] for array in arrays]


def by_batch(call, arrays, sizes, *, padded_size=None):
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


def fingerprints(images):
    """A short text for each image, by which it is known again."""
    return [
        hashlib.sha256(np.ascontiguousarray(image)).hexdigest()[:16] for image in images
    ]


def check_data(data):
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


def _raw_batches(data, batch_size, as_given):
    if isinstance(data, tf.data.Dataset):
        yield from (data if as_given else data.rebatch(batch_size)).as_numpy_iterator()
        return
    images, labels = data
    for start in range(0, len(images), batch_size):
        stop = start + batch_size
        yield images[start:stop], labels[start:stop]


def _rank(spec):
    """Number of axes of a part of a data set; 4 where it does not say."""
    rank = spec.shape.rank if isinstance(spec, tf.TensorSpec) else 0
    return 4 if rank is None else rank
