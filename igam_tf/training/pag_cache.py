"""Target gradients on disk, and the data set that hands them out with their images.

Or the same targets made in each step, of the classes that the step draws: neither
memory nor time grows with the number of classes then.
"""

import os
import pathlib
import zlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from igam_tf import data, files
from igam_tf.data.batches import without_tuning
from igam_tf.training.pag_base import Targets

# Values of a few units keep their 11 bits in float16; only directions matter.
_STORED = np.float16


def cached(
    targets: Callable,
    split: data.Split,
    path: str | os.PathLike,
    *,
    batch_size: int = 100,
) -> np.ndarray:
    """Targets of all images of a split, computed once and kept in a file.

    The file is written under another name and renamed when it is whole; a second one,
    PATH.json, says which targets it holds. Each target is scaled to a root mean square
    of 1.

    Args:
        targets: function (images, labels) to (batch, classes, height, width, channels).
        split: `igam_tf.data.Split`.
        path: file, such as "runs/x/targets.npy"; 2 bytes a value, 3.1 GB for CIFAR-10.
        batch_size: images that are computed at once, each for all classes.

    Returns:
        Array (images, classes, height, width, channels), float16, mapped from the file.

    Raises:
        ValueError: if the file is of other targets or images.
    """
    path = pathlib.Path(path)
    note, wanted = path.with_name(path.name + ".json"), _description(targets, split)
    if path.exists() and note.exists():
        found = files.read_json(note, way_out=f"remove it and {path.name}")
        if found != wanted:
            raise ValueError(
                f"{path} holds targets of {found}, but these are {wanted}; choose "
                "another path, or remove the file."
            )
        return np.load(path, mmap_mode="r")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with files.replacing(path) as temporary:
        _write(targets, split, temporary, batch_size)
        # The note comes first: a file without one is not trusted and written anew.
        files.write_json(note, wanted)
    return np.load(path, mmap_mode="r")


class InSteps(Targets):
    """Targets as `cached` has them, rounded alike, made when a step asks for them.

    Args:
        targets: as of `pag_targets.make`.
    """

    def __init__(self, targets: Targets) -> None:
        super().__init__(targets.num_classes)
        self._targets = targets

    def of_classes(
        self, images: tf.Tensor, labels: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        found = _scaled(self._targets.of_classes(images, labels, classes))
        return tf.cast(tf.cast(found, _STORED), images.dtype)


def bytes_of(count: int, image_shape: tuple[int, ...], num_classes: int) -> int:
    """Size of the file that `cached` writes of so many images."""
    values = count * num_classes * int(np.prod(image_shape))
    return values * np.dtype(_STORED).itemsize


def batches(
    targets: np.ndarray,
    split: data.Split,
    batch_size: int,
    *,
    seed: int,
    first_epoch: int = 0,
    first_step: int = 0,
    repeat: bool = True,
) -> tf.data.Dataset:
    """Training batches with targets, in the order of `data.training_batches`.

    Args:
        targets: array as of `cached`.
        split: the `igam_tf.data.Split` it was computed for.
        batch_size, seed, first_epoch, first_step, repeat: as in
            `data.training_batches`.

    Returns:
        tf.data.Dataset of ((images, targets float16 (b, classes, height, width,
        channels)), labels).

    Raises:
        ValueError: if there is not one target for each image.
    """
    # Over forty lines because of its arguments.
    if len(targets) != len(split):
        raise ValueError(
            f"{len(targets)} targets for {len(split)} images: expected those that "
            "`cached` computed for this split."
        )
    # The images of this split are their own places, so that shuffling is the same.
    count = len(split)
    places = data.Split(
        np.arange(count, dtype=np.int32).reshape(count, 1, 1, 1), split.labels
    )
    indices = data.training_batches(
        places,
        batch_size,
        augmentation=data.Augmentation(),
        seed=seed,
        first_epoch=first_epoch,
        first_step=first_step,
        repeat=repeat,
    )

    def read(places):
        images = split.images[places]
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / np.float32(255.0)
        return images, targets[places]

    def look_up(places, labels):
        images, found = tf.numpy_function(
            read, [tf.reshape(places, [-1])], (tf.float32, targets.dtype)
        )
        images.set_shape([None, *split.images.shape[1:]])
        found.set_shape([None, *targets.shape[1:]])
        return (images, found), labels

    return without_tuning(indices.map(look_up).prefetch(tf.data.AUTOTUNE))


def _write(targets, split, path, batch_size):
    compute = tf.function(lambda images, labels: _scaled(targets(images, labels)))
    array, start = None, 0
    for images, labels in data.evaluation_batches(split, batch_size):
        found = compute(images, labels).numpy()
        if array is None:
            shape = (len(split), *found.shape[1:])
            array = np.lib.format.open_memmap(path, "w+", dtype=_STORED, shape=shape)
        array[start : start + len(found)] = found
        start += len(found)
    array.flush()


def _scaled(targets):
    axes = list(range(2, targets.shape.rank))
    square = tf.reduce_mean(tf.square(targets), axes, keepdims=True)
    return targets * tf.math.rsqrt(tf.maximum(square, 1e-24))


def _description(targets, split):
    """What tells one cache from another: the targets' settings, and the images."""
    return {
        "targets": repr(targets),
        "images": list(split.images.shape),
        "checksum": zlib.crc32(np.ascontiguousarray(split.images)),
    }
