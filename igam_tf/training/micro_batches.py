"""Gradients of a batch in parts, so that the activations of one part are in memory."""

import tensorflow as tf


def run(function, tensors, seed, *args, size=None):
    """Calls a function on parts of a batch, and puts its results together.

    Args:
        function: function (tensors, seed, *args) to a tuple (sums, rows): structures of
            tensors to be added up over the parts, and of tensors (images, ...) to be
            concatenated.
        tensors: structure of tensors (images, ...).
        seed: int32 tensor [2]; each part gets one of its own, the first one this.
        *args: further arguments, the same for all parts.
        size: images of a part, or None to call the function once.

    Returns:
        Tuple (sums, rows) over the whole batch.
    """
    if size is None:
        return function(tensors, seed, *args)
    # Traced once, though it is called inside and outside of the loop.
    function = tf.function(function)
    count = tf.shape(tf.nest.flatten(tensors)[0])[0]

    def part(index):
        start = index * size
        stop = tf.minimum(start + size, count)
        cut = tf.nest.map_structure(lambda t: t[start:stop], tensors)
        return function(cut, seed + tf.stack([0, index * _STRIDE]), *args)

    sums, rows = part(0)
    arrays = [_array(r).write(0, r) for r in tf.nest.flatten(rows)]

    def body(index, totals, arrays):
        more, new_rows = part(index)
        totals = tf.nest.map_structure(tf.add, totals, more)
        new_rows = tf.nest.flatten(new_rows)
        written = [a.write(index, r) for a, r in zip(arrays, new_rows, strict=True)]
        return index + 1, totals, written

    parts = -(-count // size)
    _, sums, arrays = tf.while_loop(
        lambda index, *_: index < parts, body, (1, sums, arrays), parallel_iterations=1
    )
    whole = [a.concat() for a in arrays]
    return sums, tf.nest.pack_sequence_as(rows, whole)


# Far from the steps, which count up in the same number.
_STRIDE = 0x3C6EF372


def _array(rows):
    return tf.TensorArray(
        rows.dtype,
        size=1,
        dynamic_size=True,
        infer_shape=False,
        element_shape=[None, *rows.shape[1:]],
    )
