"""Takes a tf.data.Dataset as Keras and others make it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from igam_tf.data.labels import class_numbers
from igam_tf.data.task import ROUNDING, check_images, check_labels


def from_dataset(
    dataset: tf.data.Dataset,
    input_range: tuple[float, float] = (0, 255),
    *,
    num_classes: int | None = None,
) -> tf.data.Dataset:
    """Batches as this package means them, of those that Keras makes.

        ds = keras.utils.image_dataset_from_directory("photos", image_size=(96, 96))
        model.fit(igam_tf.data.from_dataset(ds))

    Every batch is converted when it is read; the first one is looked at here.

    Args:
        dataset: batches (images [b, height, width, channels], labels); labels are
            class numbers [b] or [b, 1] of any type, or one-hot rows [b, classes]. As
            `keras.utils.image_dataset_from_directory` returns it, with any label_mode
            but None.
        input_range: (low, high) of its pixels, which become 0 and 1.
        num_classes: number of columns that one-hot rows need; None for any.

    Returns:
        tf.data.Dataset of (images float32 in [0, 1], labels int32 [b]). Its
        `class_names` are those of the data set, if it has any.

    Raises:
        TypeError: if it is no tf.data.Dataset.
        ValueError: if it is empty, not in batches or without labels, labels are no
            class numbers, or images are not in the range.
    """
    low, high = _checked_range(input_range)
    if not isinstance(dataset, tf.data.Dataset):
        raise TypeError(
            f"dataset is {type(dataset).__name__}: expected a tf.data.Dataset; arrays "
            "are taken as they are, once divided by their largest value."
        )
    _check_first(dataset, low, high, num_classes)

    def convert(images, labels):
        images = (tf.cast(images, tf.float32) - low) / (high - low)
        return images, _class_numbers(labels)

    converted = dataset.map(convert, num_parallel_calls=tf.data.AUTOTUNE)
    converted = converted.prefetch(tf.data.AUTOTUNE)
    if hasattr(dataset, "class_names"):
        converted.class_names = dataset.class_names
    return converted


def _class_numbers(labels):
    if labels.shape.rank == 2 and labels.shape[1] != 1:
        return tf.argmax(labels, axis=1, output_type=tf.int32)
    if labels.shape.rank == 2:
        labels = labels[:, 0]
    return tf.cast(labels, tf.int32)


def _checked_range(input_range):
    try:
        low, high = map(float, input_range)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(
            f"input_range={input_range!r}: expected the least and the largest value "
            "of a pixel, such as (0, 255), (0, 1) or (-1, 1)."
        )
    return low, high


def _check_first(dataset, low, high, num_classes):
    first = next(iter(dataset.take(1)), None)
    if first is None:
        raise ValueError("The data set is empty; it needs a batch at least.")
    if not isinstance(first, (tuple, list)) or len(first) != 2:
        raise ValueError(
            "the data set gives no pairs (images, labels): expected labels, as "
            'image_dataset_from_directory(..., labels="inferred") gives them.'
        )
    images, labels = (np.asarray(part) for part in first)
    if images.ndim == 3:
        raise ValueError(
            f"images have shape {images.shape}: expected batches [b, height, width, "
            "channels]; pass dataset.batch(32)."
        )
    found_low, found_high = float(images.min()), float(images.max())
    slack = ROUNDING * (high - low)
    if found_low < low - slack or found_high > high + slack:
        raise ValueError(
            f"pixels range from {found_low:.6g} to {found_high:.6g} in the first "
            f"batch: expected input_range={(low, high)}; pass the range they have."
        )
    if low == 0 and high > 16 and 0 < found_high <= 1 + ROUNDING:
        raise ValueError(
            f"pixels range from {found_low:.6g} to {found_high:.6g} in the first "
            f"batch, a part of input_range={(low, high)} that looks like [0, 1]: pass "
            "input_range=(0, 1)."
        )
    check_images(((images - low) / (high - low)).astype(np.float32))
    numbers = class_numbers(labels, num_classes)
    if numbers.ndim == 1 and np.array_equal(numbers, np.round(numbers)):
        numbers = numbers.astype(np.int32)
    check_labels(numbers, num_classes or int(np.max(numbers)) + 1)
