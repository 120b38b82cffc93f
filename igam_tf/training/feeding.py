"""Data given to `fit`, `evaluate` and `predict`: every batch is checked before its use.

Arrays are checked as a whole, before the first step; the batches of a data set, of a
PyDataset or of a generator one by one, on the host and ahead of the step, so that the
accelerator need not wait. Labels become class numbers on the way.
"""

import contextlib
import dataclasses
import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf.data import check_images, check_labels, class_numbers
from igam_tf.data.batches import without_tuning
from igam_tf.data.own.pictures import UnreadableError
from igam_tf.data.task import ROUNDING


class BadBatchError(ValueError):
    """A batch is not what the method can be trained on."""


# What an error of TensorFlow says of an error that was raised inside of its graph.
_NAMES = f"{BadBatchError.__name__}|{UnreadableError.__name__}"
_RAISED_INSIDE = re.compile(f"(?:{_NAMES}): (.*)")


@contextlib.contextmanager
def in_plain_words(where: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Raises a plain ValueError for a bad batch, without TensorFlow's pages around it.

    Args:
        where: function without arguments that says which batch it is, for errors that
            do not say it themselves.
    """
    try:
        yield
        return
    except BadBatchError as error:
        sentence = str(error)
    except tf.errors.OpError as error:
        found = _RAISED_INSIDE.search(str(error))
        if found is None:
            raise
        sentence = found[1]
    raise ValueError(sentence if "batch" in sentence[:20] else where() + sentence)


@dataclasses.dataclass(frozen=True)
class Expected:
    """What every batch has to look like.

    Args:
        image_shape: (height, width, channels); None fits any size.
        num_classes: number of the student's logits.
        targets: whether images may come in a pair with targets of their own.
        labels: whether there have to be labels.
        name: of the argument that gives the data, for errors.
    """

    image_shape: tuple
    num_classes: int
    targets: bool = False
    labels: bool = True
    name: str = ""

    def batch(self, number: int, of: str) -> str:
        """The beginning of an error about one batch."""
        return f"batch {number} of {self.name or of}: "

    def checked(self, batch: Any, where: str = "") -> tuple:
        """A batch of arrays with its labels as int32 class numbers [n].

        Args:
            batch: (images, labels) or (images, labels, None); without labels images
                alone will do.
            where: names the batch in an error: "batch 3: ".

        Raises:
            BadBatchError: if it is something else.
        """
        try:
            x, labels = self.parts(batch)
            images = np.asarray(self.images(x))
            # Networks in float64 (keras.config.set_floatx) take their own type.
            own = images.dtype == keras.config.floatx()
            check_images(images.astype(np.float32) if own else images)
            self._check_shape(images.shape)
            if labels is None:
                return (x,)
            labels = class_numbers(labels, self.num_classes)
            check_labels(labels, self.num_classes)
            if len(labels) != len(images):
                raise ValueError(
                    f"{len(images)} images and {len(labels)} labels: expected one "
                    "label an image."
                )
        except ValueError as error:
            raise BadBatchError(f"{where}{error}") from None
        return x, labels.astype(np.int32)

    def parts(self, batch: Any) -> tuple[Any, Any]:
        """The parts (x, labels) of a batch; labels are None if none are expected."""
        if not isinstance(batch, (tuple, list)):
            batch = (batch,)
        x, labels, weights, *more = (*batch, None, None)[: max(3, len(batch))]
        if weights is not None:
            raise ValueError(
                "there are sample weights (or class weights), which no method here "
                "uses: expected (images, labels) only."
            )
        if any(part is not None for part in more):
            raise ValueError(
                f"a batch has {len(batch)} parts: expected two, (images, labels)."
            )
        if self.labels and labels is None:
            raise ValueError("images come without labels: expected (images, labels).")
        return x, labels if self.labels else None

    def images(self, x: Any) -> Any:
        """The images of what comes first in a batch."""
        if isinstance(x, dict) or (isinstance(x, (tuple, list)) and not self.targets):
            raise ValueError(
                f"images are a {type(x).__name__} of {len(x)} parts: expected one "
                "array [n, height, width, channels]."
            )
        return x[0] if isinstance(x, (tuple, list)) else x

    def _check_shape(self, found):
        sizes = zip(found[1:], self.image_shape, strict=True)
        if any(None not in pair and pair[0] != pair[1] for pair in sizes):
            raise ValueError(
                f"images have shape {tuple(found)}: the student takes "
                f"{(None, *self.image_shape)}; resize them, or make the student for "
                "their shape."
            )


def checked(x: Any, y: Any, expected: Expected) -> tuple[Any, Any]:
    """The data, with a check of every batch.

    Args:
        x: images, an array; or batches, a tf.data.Dataset, keras.utils.PyDataset or
            generator.
        y: labels, or None where x are batches.
        expected: `Expected`.

    Returns:
        Tuple (x, y) in place of the given ones.

    Raises:
        ValueError: if what can be seen of the data before the first step is not
            `expected`: all of arrays, the first batch of the others (of a generator,
            which gives its batches once, nothing). Later batches raise while they are
            read: `in_plain_words` makes a ValueError of that.
    """
    if y is not None and _is_batches(x):
        raise ValueError(
            f"y is given beside a {type(x).__name__}: expected batches (images, "
            "labels) and no y."
        )
    with in_plain_words():
        if isinstance(x, tf.data.Dataset):
            return _data_set(x, expected), None
        if isinstance(x, keras.utils.PyDataset):
            return _CheckedPyDataset(x, expected), None
        if isinstance(x, types.GeneratorType):
            return _generator(x, expected), None
        if not hasattr(x, "shape") and not isinstance(x, (tuple, list, dict)):
            raise BadBatchError(
                f"x is {type(x).__name__}: expected an array of images, or batches "
                "(images, labels) as a tf.data.Dataset, a keras.utils.PyDataset or a "
                "generator; a distributed data set is made by fit itself."
            )
        where = f"{expected.name}: " if expected.name else ""
        images, *labels = expected.checked((x, y), where)
    return images, (labels or [None])[0]


def check_shares(count: int, batch_size: int, replicas: int) -> None:
    """Raises ValueError if a batch leaves a replica without images.

    Args:
        count: number of all images.
        batch_size: images a batch, over all replicas.
        replicas: number of replicas.
    """
    for batch in {min(batch_size, count), count % batch_size or batch_size}:
        if -(-batch // replicas) * (replicas - 1) >= batch:
            raise ValueError(
                f"{count} images in batches of {batch_size} end in a batch of {batch}. "
                f"{too_few(replicas)}"
            )


def too_few(replicas: int) -> str:
    """The sentence about a batch that leaves a replica without images."""
    return (
        f"One of the {replicas} replicas gets no images of a batch, and statistics of "
        "none are NaN: expected batches of at least as many images as replicas, the "
        "last one too; choose another batch size, or drop_remainder=True."
    )


def _is_batches(x):
    return isinstance(x, (tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType))


def _data_set(dataset, expected):
    dataset = without_tuning(dataset)
    first = next(iter(dataset.take(1)), None)
    if first is None:
        raise BadBatchError("The data set is empty; it needs a batch at least.")
    _, *labels = expected.checked(first, expected.batch(1, "the data set"))
    rank = labels and np.ndim(expected.parts(first)[1])

    @tf.autograph.experimental.do_not_convert
    def look(number, batch):
        x, labels = expected.parts(batch)
        images = expected.images(x)
        low, high = tf.reduce_min(images), tf.reduce_max(images)
        # Not a number is neither.
        fine = (low >= -ROUNDING) & (high <= 1 + ROUNDING)
        if labels is None:
            parts = [images]
        else:
            parts = [images, labels]
            labels, right = _numbers(tf.ensure_shape(labels, [None] * rank))
            fine &= right & tf.reduce_all(
                (labels >= 0) & (labels < expected.num_classes)
            )
        checked = tf.cond(
            fine,
            lambda: True,
            lambda: tf.numpy_function(complain, [number, *parts], tf.bool),
        )
        with tf.control_dependencies([checked]):
            x = tf.nest.map_structure(tf.identity, x)
        return x if labels is None else (x, labels)

    def complain(number, images, labels=None):
        only = dataclasses.replace(expected, targets=False)
        only.checked((images, labels), expected.batch(number + 1, "the data set"))
        return True

    # Checked while the step before it runs.
    return dataset.enumerate().map(look).prefetch(1)


def _numbers(labels):
    """Class numbers of labels inside of a graph, and whether rows are one-hot."""
    if labels.shape.rank != 2:
        return tf.cast(labels, tf.int32), True
    if labels.shape[1] == 1:
        return tf.cast(labels[:, 0], tf.int32), True
    ones = tf.reduce_sum(tf.cast(labels == 1, tf.int32), axis=1)
    right = tf.reduce_all((labels == 0) | (labels == 1)) & tf.reduce_all(ones == 1)
    return tf.argmax(labels, axis=1, output_type=tf.int32), right


def _generator(batches, expected):
    for number, batch in enumerate(batches):
        yield expected.checked(batch, expected.batch(number + 1, "the generator"))


class _CheckedPyDataset(keras.utils.PyDataset):
    """Another PyDataset, whose batches are checked."""

    def __init__(self, batches, expected):
        super().__init__(
            workers=batches.workers,
            use_multiprocessing=batches.use_multiprocessing,
            max_queue_size=batches.max_queue_size,
        )
        self._batches = batches
        self._expected = expected
        self[0]

    def __len__(self):
        return len(self._batches)

    @property
    def num_batches(self):
        return self._batches.num_batches

    def __getitem__(self, index):
        where = self._expected.batch(index + 1, "the PyDataset")
        return self._expected.checked(self._batches[index], where)

    def on_epoch_begin(self):
        self._batches.on_epoch_begin()

    def on_epoch_end(self):
        self._batches.on_epoch_end()
