"""Gradients of a batch in parts, so that the activations of one part are in memory."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

# Between the seeds of two parts: far from the steps, which count up in the same number.
_STRIDE = 0x3C6EF372


def accumulate_gradients(
    function: Callable[..., tuple],
    tensors: Any,
    seed: tf.Tensor,
    *args: Any,
    size: int | None = None,
) -> tuple[Any, Any]:
    """Calls a function on parts of a batch, and puts its results together.

    A batch of known size that `size` divides has parts of known size, as XLA needs
    them; of any other batch the last part is smaller.

    Args:
        function: function (tensors, seed, *args) to a tuple (sums, rows): structures of
            tensors to be added up over the parts, and of tensors (images, ...) to be
            concatenated.
        tensors: structure of tensors (images, ...).
        seed: int32 tensor [2]; each part gets its own, the first part this one.
        *args: further arguments, the same for all parts.
        size: images of a part, or None to call the function once.

    Returns:
        Tuple (sums, rows) over the whole batch.
    """
    # Over forty lines because of its arguments.
    if size is None:
        return function(tensors, seed, *args)
    # Traced once, though it is called inside and outside of the loop.
    function = tf.function(function, autograph=False)
    first = tf.nest.flatten(tensors)[0]
    equal = first.shape[0] is not None and first.shape[0] % size == 0
    count = first.shape[0] if equal else tf.shape(first)[0]
    parts = -(-count // size)

    def part(index):
        start = index * size
        length = size if equal else tf.minimum(size, count - start)
        cut = tf.nest.map_structure(lambda t: _rows(t, start, length), tensors)
        return function(cut, seed + tf.stack([0, index * _STRIDE]), *args)

    sums, rows = part(0)
    collected = [
        tf.TensorArray(
            row.dtype,
            size=parts,
            infer_shape=False,
            element_shape=[size if equal else None, *row.shape[1:]],
        ).write(0, row)
        for row in tf.nest.flatten(rows)
    ]

    def body(index, totals, collected):
        more, rows = part(index)
        totals = tf.nest.map_structure(tf.add, totals, more)
        pairs = zip(collected, tf.nest.flatten(rows), strict=True)
        return index + 1, totals, [array.write(index, row) for array, row in pairs]

    _, sums, collected = tf.while_loop(
        lambda index, *_: index < parts,
        body,
        (1, sums, collected),
        parallel_iterations=1,
        maximum_iterations=parts - 1,
    )
    whole = [_concatenated(array, equal) for array in collected]
    return sums, tf.nest.pack_sequence_as(rows, whole)


def _rows(tensor, start, length):
    rest = tensor.shape.rank - 1
    cut = tf.slice(tensor, [start, *[0] * rest], [length, *[-1] * rest])
    # A slice of unknown length forgets the other axes.
    return tf.ensure_shape(cut, [None, *tensor.shape[1:]])


def _concatenated(array, equal):
    if not equal:
        return array.concat()
    stacked = array.stack()
    return tf.reshape(stacked, [-1, *stacked.shape[2:]])
