"""From arrays in memory to tf.data: shuffling, augmentation, batches.

Shuffling is a stateless function of (seed, epoch) and augmentation of (seed, epoch,
step), so that a run that resumes at epoch 3, or within it, sees what an uninterrupted
one would have seen. The images stay one uint8 tensor that the pipeline captures: it is
never a constant of a graph (those end at 2 GB), and a batch costs one gather. Of
streamed images the same indices are decoded instead.
"""

import contextlib
import re
import typing
import weakref
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from igam_tf.data.augmenting import GENERATOR as _GENERATOR
from igam_tf.data.augmenting import augmented, decoded, streamed
from igam_tf.data.augmenting import crop_and_flip as crop_and_flip
from igam_tf.data.own.pictures import UnreadableError
from igam_tf.data.partners import Partners
from igam_tf.data.registry import Augmentation
from igam_tf.data.task import Split
from igam_tf.pixels import as_float

# None of it branches on a tensor: for autograph, to find that out takes two seconds.
_as_written = tf.autograph.experimental.do_not_convert
# Independent streams of random numbers from one (seed, epoch).
_SHUFFLE, _AUGMENT, _PARTNERS = 0, 1, 2
# Batches of streamed images that are decoded at once, and that wait decoded: their
# number is fixed, so that the memory is.
_DECODING, _WAITING = 2, 2
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
    return -(-len(split) // batch_size)


def training_batches(
    split: Split,
    batch_size: int,
    *,
    augmentation: Augmentation,
    seed: int,
    first_epoch: int = 0,
    first_step: int = 0,
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
        first_step: number of its steps that are left out: nothing is read for them.
        repeat: whether to go on after one epoch, for ever.
        partners: "same_class" or "other_class": each image comes with another image,
            drawn anew in each epoch, of its class or of another one; None: alone.

    Returns:
        tf.data.Dataset of (images float32 [b, height, width, channels] in [0, 1],
        labels int32 [b]). With partners, of ((images, partners like images, labels of
        the partners), labels).

    Raises:
        ValueError: if batch_size, seed, first_epoch or first_step is not a whole number
            in range, or an image has no partner.
    """
    check_count("first_epoch", first_epoch, at_least=0)
    check_count("first_step", first_step, at_least=0)
    length = steps_per_epoch(split, batch_size) - first_step
    if length < 1:
        raise ValueError(
            f"first_step={first_step}: an epoch has {length + first_step} steps; "
            "expected less, or 0 of the next epoch."
        )
    last = np.iinfo(np.int64).max if repeat else first_epoch + 1
    epochs = tf.data.Dataset.range(first_epoch, last)
    return _shuffled_epochs(
        epochs,
        split,
        batch_size,
        augmentation=augmentation,
        seed=seed,
        length=length if not repeat else tf.data.INFINITE_CARDINALITY,
        first=(first_epoch, first_step),
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
    count = len(split)
    images, labels = (None, None) if split.is_streamed else _on_host(split)

    def batch(start):
        stop = tf.minimum(start + batch_size, count)
        if split.is_streamed:
            pixels, of_pixels = decoded(split.images, tf.range(start, stop))
            return as_float(pixels), of_pixels
        return as_float(images[start:stop]), labels[start:stop]

    return _mapped(split, tf.data.Dataset.range(0, count, batch_size), batch)


def check_count(name: str, value: typing.Any, *, at_least: int = 1) -> None:
    """Raises ValueError unless the value is a whole number of at least `at_least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < at_least:
        raise ValueError(
            f"{name}={value!r}: expected a whole number, {at_least} or more."
        )


def _shuffled_epochs(
    epochs, split, batch_size, *, augmentation, seed, length=None, first=(0, 0),
    partners=None
):  # fmt: skip
    # Over forty lines because of the arguments that its functions capture.
    check_count("seed", seed, at_least=0)
    steps = steps_per_epoch(split, batch_size)
    images, labels = (None, None) if split.is_streamed else _on_host(split)

    def indices_of(epoch):
        start = tf.where(epoch == first[0], tf.constant(first[1], tf.int64), 0)
        return _steps_of_epoch(epoch, len(split), batch_size, start, steps, seed)

    def chosen(indices, key):
        if split.is_streamed:
            return streamed(split.images, indices, key, augmentation)
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

    # flat_map does not know its length; Keras asks for it.
    known = tf.data.experimental.assert_cardinality(steps if length is None else length)
    epochs = epochs.flat_map(_as_written(indices_of))
    return _mapped(split, epochs.apply(known), batch)


def _steps_of_epoch(epoch, count, batch_size, start, steps, seed):
    """Dataset of (indices of the images of a step, key of their augmentation)."""
    key = tf.stack([tf.constant(seed, tf.int64), epoch])
    order = tf.random.experimental.stateless_shuffle(
        tf.range(count), _fold_in(key, _SHUFFLE), alg=_GENERATOR
    )
    augment_key = _fold_in(key, _AUGMENT)

    def indices_of_step(step):
        first = tf.cast(step, tf.int32) * batch_size
        indices = order[first : tf.minimum(first + batch_size, count)]
        return indices, _fold_in(augment_key, step)

    return tf.data.Dataset.range(start, steps).map(indices_of_step)


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


@contextlib.contextmanager
def damage_named() -> Iterator[None]:
    """Raises a plain `UnreadableError` for an image that is found damaged in a block.

    Streamed images are decoded within TensorFlow, whose errors are pages long.
    """
    try:
        yield
    except tf.errors.OpError as error:
        found = re.search(f"{UnreadableError.__name__}: (.*)", str(error))
        if found is None:
            raise
        raise UnreadableError(found[1]) from None


def _mapped(split, dataset, batch):
    """Batches made ahead of their use, in order."""
    calls, waiting = tf.data.AUTOTUNE, tf.data.AUTOTUNE
    if split.is_streamed:
        calls, waiting = _DECODING, _WAITING
    options = tf.data.Options()
    options.deterministic = True
    # There are no files to share out among workers: each takes its part of a batch.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    dataset = dataset.map(_as_written(batch), num_parallel_calls=calls)
    return without_tuning(dataset.prefetch(waiting).with_options(options))
