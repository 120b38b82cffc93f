"""Iterations of images in a graph, each until its iterates repeat."""

from collections.abc import Callable

import tensorflow as tf


def until_they_repeat(
    one_step: Callable[..., tf.Tensor],
    start: tf.Tensor,
    given: tuple[tf.Tensor, ...],
    num_steps: tf.Tensor,
) -> tf.Tensor:
    """The last iterate of each image, without the steps that are known beforehand.

    A step of PGD depends on the point alone. Once an image is where it was two steps
    before, bit for bit, it goes to and fro between two points (or stays at one) to the
    end, and which of the two is the last is told by the number of steps that are left.
    Such images leave the batch. It shrinks to few sizes only, for each of which kernels
    are set up once; until then they go on with the others.

    Args:
        one_step: function of points and the tensors of `given`, at the same images, to
            the next points. Must not draw random numbers.
        start: float tensor (batch, ...), the first points.
        given: tensors whose first axis is the image.
        num_steps: int32 tensor, number of steps.

    Returns:
        Tensor like `start`: the points after `num_steps` steps.
    """
    axes = list(range(1, start.shape.rank))

    def body(step, last, rows, before, point, *given):
        moved = one_step(point, *given)
        repeats = tf.reduce_all(moved == before, axis=axes)
        size = _padded_size(tf.reduce_sum(tf.cast(~repeats, tf.int32)))

        def shrink():
            # Those that go on first, in their order, and of the others what fills up.
            order = tf.argsort(tf.cast(repeats, tf.int32), stable=True)
            stay, leave = order[:size], order[size:]
            is_even = (num_steps - step - 1) % 2 == 0
            final = tf.gather(tf.where(is_even, moved, point), leave)
            places = tf.gather(rows, leave)[:, None]
            kept = (rows, point, moved, *given)
            return (
                tf.tensor_scatter_nd_update(last, places, final),
                *(tf.gather(values, stay) for values in kept),
            )

        def stay():
            return (last, rows, point, moved, *given)

        left = tf.cond(size < tf.shape(rows)[0], shrink, stay)
        return step + 1, *left

    rows = tf.range(tf.shape(start)[0])
    # NaN is unlike itself: nothing repeats at the first step.
    nowhere = tf.fill(tf.shape(start), tf.constant(float("nan"), start.dtype))
    values = (start, rows, nowhere, start, *given)
    any_batch = (tf.TensorShape([None, *value.shape[1:]]) for value in values)
    _, last, rows, _, point, *_ = tf.while_loop(
        lambda step, last, rows, *_: (step < num_steps) & (tf.shape(rows)[0] > 0),
        body,
        (0, *values),
        shape_invariants=(tf.TensorShape([]), *any_batch),
        parallel_iterations=1,
    )
    return tf.tensor_scatter_nd_update(last, rows[:, None], point)


def _padded_size(count):
    """`batching.padded_size` of a tensor, and 0 of 0."""
    between = tf.cast(tf.maximum(count, 1), tf.float32) - 0.5
    bits = tf.floor(tf.math.log(between) / tf.math.log(2.0))
    step = tf.cast(2.0 ** tf.maximum(bits - 3.0, 0.0), tf.int32)
    return tf.where(count <= 16, count, -(-count // step) * step)
