"""One batch over all replicas, and the compiled loop that Keras' `fit` calls.

Control flow stands outside of `strategy.run`: inside of it, a `tf.cond` around an
optimizer fails under MirroredStrategy.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from igam_tf.training import feeding

if TYPE_CHECKING:
    from igam_tf.training.base import TrainingMethod


def train_on_batch(method: TrainingMethod, data: Any) -> dict[str, tf.Tensor]:
    """The updates of student and discriminator that are due at this step.

    Args:
        method: compiled `TrainingMethod`.
        data: a distributed batch (images, labels).

    Returns:
        Dict of running means.
    """
    with tf.control_dependencies(_every_replica_has_images(method, data)):
        step = tf.identity(method.optimizer.iterations.value)
    branches = [
        functools.partial(_train_in_phase, method, data, step, phase)
        for phase in method.phases
    ]
    if len(branches) == 1:
        outputs = branches[0]()
    else:
        outputs = tf.switch_case(method.phase(step), branches)
    return _update_metrics(method, *outputs)


def test_on_batch(method: TrainingMethod, data: Any) -> dict[str, tf.Tensor]:
    """Loss and metrics in inference mode; see `train_on_batch`."""
    step = tf.identity(method.optimizer.iterations.value)
    outputs, _ = method.distribute_strategy.run(method.test_step, (data, step))
    return _update_metrics(method, *_reduced(method, *outputs))


def _every_replica_has_images(method, data):
    """Operations that fail if a replica has none: batch norm of nothing is NaN.

    Shapes are known to the host, so that the accelerators do not wait for it.
    """
    if method.num_replicas == 1:
        return []
    shares = method.distribute_strategy.experimental_local_results(
        tf.nest.flatten(data)[0]
    )
    smallest = tf.reduce_min([tf.shape(share)[0] for share in shares])
    sentence = f"{feeding.BadBatchError.__name__}: {feeding.too_few(len(shares))}\n"
    return [tf.debugging.Assert(smallest > 0, [sentence])]


def _train_in_phase(method, data, step, phase):
    strategy = method.distribute_strategy
    outputs, prepared = strategy.run(method.train_step, (data, step), {"phase": phase})
    due = method.second_update_due(step) if phase == method.phases[-1] else None
    if due is not None:

        def update():
            strategy.run(method.second_update, (prepared, step))
            return 0

        tf.cond(due, update, lambda: 0)
    return _reduced(method, *outputs)


def _reduced(method, report, logits, labels):
    strategy = method.distribute_strategy
    sums = {
        name: tuple(strategy.reduce("SUM", v, axis=None) for v in values)
        for name, values in report.items()
    }
    return sums, strategy.gather(logits, axis=0), strategy.gather(labels, axis=0)


def _update_metrics(method, sums, logits, labels):
    for mean in method.means:
        if mean.name in sums:
            total, count = sums[mean.name]
            mean.update_state(tf.math.divide_no_nan(total, count), count)
    logs = method.compute_metrics(None, labels, logits)
    absent = {m.name for m in method.means} - set(sums)
    return {name: value for name, value in logs.items() if name not in absent}


def over_iterator(model: keras.Model, on_batch: Callable) -> Callable:
    """`steps_per_execution` batches of an iterator, in one compiled call.

    Args:
        model: keras.Model, whose `steps_per_execution` and `run_eagerly` hold.
        on_batch: function of the model and one batch to logs.

    Returns:
        Function of an iterator to the logs of the last batch.
    """
    on_batch = tf.autograph.experimental.do_not_convert(
        functools.partial(on_batch, model)
    )

    def execute(iterator):
        logs = on_batch(iterator.get_next())
        for _ in tf.range(model.steps_per_execution - 1):
            batch = iterator.get_next_as_optional()
            if not batch.has_value():
                break
            logs = on_batch(batch.get_value())
        return logs

    def execute_eagerly(iterator):
        logs = on_batch(next(iterator))
        for batch in itertools.islice(iterator, int(model.steps_per_execution) - 1):
            logs = on_batch(batch)
        return logs

    if model.run_eagerly:
        return execute_eagerly
    if model.steps_per_execution == 1:
        # The loop would trace the step a second time. A partial: TensorFlow counts the
        # traces of a function's code over all methods, and warns of the fifth.
        step = functools.partial(_next_batch, on_batch)
        return tf.function(step, reduce_retracing=True, autograph=False)
    return tf.function(execute, reduce_retracing=True)


def _next_batch(on_batch, iterator):
    return on_batch(iterator.get_next())
