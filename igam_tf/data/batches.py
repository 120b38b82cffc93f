"""From arrays in memory to tf.data: shuffling, augmentation, batches.

Shuffling is a stateless function of (seed, epoch) and augmentation of (seed, epoch,
step), so that a run that resumes at epoch 3 sees what an uninterrupted one would have
seen. The images stay one uint8 tensor that the pipeline captures: it is never a
constant of a graph (those end at 2 GB), and a batch costs one gather.
"""

import typing
import weakref

import numpy as np
import tensorflow as tf

from igam_tf.data.partners import Partners
from igam_tf.data.registry import Augmentation
from igam_tf.data.task import Split
from igam_tf.pixels import as_float

# Independent streams of random numbers from one (seed, epoch).
_SHUFFLE, _AUGMENT, _PARTNERS = 0, 1, 2
# Spelled out: "auto" may choose another generator on another device.
_GENERATOR = "philox"
# TensorFlow copies an array that it takes: once a split, not once a data set.
_TENSORS: weakref.WeakKeyDictionary[Split, tuple[tf.Tensor, tf.Tensor]] = (
    weakref.WeakKeyDictionary()
)


def steps_per_epoch(split: Split, batch_size: int) -> int:
    """Number of batches in an epoch, the last, partial one included.

    Args:
        split: `Split`.
        batch_size: images a batch.
    """
    check_count("batch_size", batch_size)
    return -(-len(split.labels) // batch_size)


def training_batches(
    split: Split,
    batch_size: int,
    *,
    augmentation: Augmentation,
    seed: int,
    first_epoch: int = 0,
    repeat: bool = True,
    partners: str | None = None,
) -> tf.data.Dataset:
    """Shuffled, augmented batches; the same ones for the same seed and epoch.

    Every image is used once an epoch. The last batch of an epoch is smaller where the
    batch size does not divide the number of images, and never holds images of the next
    epoch. Use it with `fit(steps_per_epoch=steps_per_epoch(split, batch_size))`.

    Args:
        split: `Split`.
        batch_size: images a batch, over all replicas.
        augmentation: `Augmentation`.
        seed: of shuffling and augmentation; nothing else changes them.
        first_epoch: number of the epoch to begin with, 0 unless a run resumes.
        repeat: whether to go on after one epoch, for ever.
        partners: "same_class" or "other_class": each image comes with another image,
            drawn anew in each epoch, of its class or of another one; None: alone.

    Returns:
        tf.data.Dataset of (images float32 [b, height, width, channels] in [0, 1],
        labels int32 [b]). With partners, of ((images, partners like images, labels of
        the partners), labels).

    Raises:
        ValueError: if batch_size, seed or first_epoch is not a whole number in range,
            or an image has no partner.
    """
    check_count("first_epoch", first_epoch, at_least=0)
    last = np.iinfo(np.int64).max if repeat else first_epoch + 1
    epochs = tf.data.Dataset.range(first_epoch, last)
    return _shuffled_epochs(
        epochs,
        split,
        batch_size,
        augmentation=augmentation,
        seed=seed,
        length=None if not repeat else tf.data.INFINITE_CARDINALITY,
        partners=None if partners is None else Partners(split.labels, partners),
    )


def reshuffled_batches(
    split: Split, batch_size: int, *, augmentation: Augmentation, seed: int
) -> tf.data.Dataset:
    """One epoch an iteration, shuffled and augmented anew by each new iterator.

    Args:
        split, batch_size, augmentation: as `training_batches`.
        seed: with TensorFlow's global seed gives the sequence of epochs.

    Returns:
        tf.data.Dataset as of `training_batches`, of `steps_per_epoch` batches.
    """
    # A random number in place of the number of the epoch: an iterator cannot know how
    # many there were before it.
    epochs = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)
    return _shuffled_epochs(
        epochs.take(1), split, batch_size, augmentation=augmentation, seed=seed
    )


def evaluation_batches(split: Split, batch_size: int) -> tf.data.Dataset:
    """Batches in the order of the split, the last, partial one included.

    Args:
        split: `Split`.
        batch_size: images a batch.

    Returns:
        tf.data.Dataset of (images float32 [b, height, width, channels] in [0, 1],
        labels int32 [b]).
    """
    check_count("batch_size", batch_size)
    images, labels = _on_host(split)
    count = len(split.labels)

    def batch(start):
        stop = tf.minimum(start + batch_size, count)
        return as_float(images[start:stop]), labels[start:stop]

    starts = tf.data.Dataset.range(0, count, batch_size)
    dataset = starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE)
    return _finished(dataset)


def crop_and_flip(
    images: tf.Tensor, offsets: tf.Tensor, flips: tf.Tensor, pad: int
) -> tf.Tensor:
    """Crops each zero-padded image at its own offset, then mirrors some.

    Args:
        images: [b, height, width, channels], any type.
        offsets: int32 [b, 2], rows and columns of the crop in the padded image, in
            0..2 * pad.
        flips: bool [b], which crops to mirror left to right.
        pad: pixels of zeros on each side.

    Returns:
        Tensor like `images`.
    """
    _, height, width, channels = images.shape
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    high, wide = height + 2 * pad, width + 2 * pad
    rows = offsets[:, 0, None] + tf.range(height)
    columns = tf.range(width)
    columns = tf.where(flips[:, None], columns[::-1], columns) + offsets[:, 1, None]
    # One gather of pixels for crop and flip of the whole batch: no map over images.
    rows += tf.range(tf.shape(images)[0])[:, None] * high
    pixels = rows[:, :, None] * wide + columns[:, None, :]
    return tf.gather(tf.reshape(padded, [-1, channels]), pixels)


def check_count(name: str, value: typing.Any, *, at_least: int = 1) -> None:
    """Raises ValueError unless the value is a whole number of at least `at_least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise ValueError(
            f"{name}={value!r}: expected a whole number, {at_least} or more."
        )


def _shuffled_epochs(
    epochs, split, batch_size, *, augmentation, seed, length=None, partners=None
):
    check_count("seed", seed, at_least=0)
    steps = steps_per_epoch(split, batch_size)
    images, labels = _on_host(split)

    def indices_of(epoch):
        return _steps_of_epoch(epoch, len(split.labels), batch_size, steps, seed)

    def chosen(indices, key):
        found = tf.ensure_shape(tf.gather(images, indices), [None, *images.shape[1:]])
        return augmented(found, key, augmentation), tf.gather(labels, indices)

    def batch(indices, key):
        batch_images, batch_labels = chosen(indices, key)
        if partners is None:
            return batch_images, batch_labels
        draw_key, augment_key = tf.unstack(
            tf.random.split(_fold_in(key, _PARTNERS), 2, alg=_GENERATOR)
        )
        others = chosen(partners.of(indices, draw_key), augment_key)
        return (batch_images, *others), batch_labels

    dataset = epochs.flat_map(indices_of)
    dataset = dataset.map(batch, num_parallel_calls=tf.data.AUTOTUNE)
    # flat_map does not know its length; Keras asks for it.
    return _finished(
        dataset.apply(
            tf.data.experimental.assert_cardinality(steps if length is None else length)
        )
    )


def _steps_of_epoch(epoch, count, batch_size, steps, seed):
    """Dataset of (indices of the images of a step, key of their augmentation)."""
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(
        tf.range(count), _fold_in(key, _SHUFFLE), alg=_GENERATOR
    )
    augment_key = _fold_in(key, _AUGMENT)

    def indices_of_step(step):
        start = tf.cast(step, tf.int32) * batch_size
        indices = order[start : tf.minimum(start + batch_size, count)]
        return indices, _fold_in(augment_key, step)

    return tf.data.Dataset.range(steps).map(indices_of_step)


def augmented(
    images: tf.Tensor, key: tf.Tensor, augmentation: Augmentation
) -> tf.Tensor:
    """Crops, mirrors and adds noise as an `Augmentation` specifies.

    Args:
        images: uint8 or float32 tensor (batch, height, width, channels).
        key: int64 tensor [2]; the only source of randomness.
        augmentation: `Augmentation`.

    Returns:
        float32 tensor like `images`, in [0, 1].
    """
    keys = tf.random.split(key, 3, alg=_GENERATOR)
    count, pad = tf.shape(images)[0], augmentation.pad
    if pad or augmentation.flip:
        offsets = tf.random.stateless_uniform(
            [count, 2], keys[0], 0, 2 * pad + 1, tf.int32, alg=_GENERATOR
        )
        draws = tf.random.stateless_uniform([count], keys[1], alg=_GENERATOR)
        flips = tf.logical_and(draws < 0.5, augmentation.flip)
        images = crop_and_flip(images, offsets, flips, pad)
    images = as_float(images)
    if augmentation.noise:
        noise = tf.random.stateless_uniform(
            tf.shape(images),
            keys[2],
            -augmentation.noise,
            augmentation.noise,
            alg=_GENERATOR,
        )
        images = tf.clip_by_value(images + noise, 0.0, 1.0)
    return images


def _fold_in(key, number):
    return tf.random.fold_in(key, number, alg=_GENERATOR)


def _on_host(split):
    if split not in _TENSORS:
        # On the CPU even where there is a GPU: the pipeline gathers from it there.
        with tf.device("CPU:0"):
            images = tf.constant(split.images)
            _TENSORS[split] = images, tf.constant(split.labels, tf.int32)
    return _TENSORS[split]


def without_tuning(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """The same batches, without the thread that tunes the number of calls in parallel.

    TensorFlow 2.21 waits for that thread, which sleeps for up to a minute, before it
    lets go of an iterator that has not come to its end, and Python waits with it.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _finished(dataset):
    options = tf.data.Options()
    options.deterministic = True
    # There are no files to share out among workers: each takes its part of a batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    return without_tuning(dataset.prefetch(tf.data.AUTOTUNE).with_options(options))
