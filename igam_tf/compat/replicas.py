"""Batches for several replicas, from iterators that TensorFlow lets go of at once."""

import threading
from collections.abc import Iterable, Iterator

import tensorflow as tf

from igam_tf.compat import attribute, moved

_MODULE = "tensorflow.python.data.ops.multi_device_iterator_ops"
_PURPOSE = "to feed several replicas without waiting for a thread that tunes"
# All threads share that module: one at a time changes it, and puts it back.
_LOCK = threading.RLock()


def distributed(strategy: tf.distribute.Strategy, batches: tf.data.Dataset) -> Iterable:
    """Batches shared out among the replicas of a strategy.

    An iterator over several devices has a pipeline for each, which does not take over
    the options of the data set. TensorFlow 2.21 tunes it in a thread that sleeps for
    up to a minute, and may wait for that thread before it lets go of the iterator: it
    wakes the thread just before it says that there is nothing left to tune.

    Args:
        strategy: tf.distribute.Strategy.
        batches: data set of global batches; see `igam_tf.data.batches.without_tuning`.

    Returns:
        An iterable whose iterators give one distributed batch a step.
    """
    shares = strategy.experimental_distribute_dataset(batches)
    return _Untuned(shares) if strategy.num_replicas_in_sync > 1 else shares


class _Untuned:
    def __init__(self, batches: Iterable) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator:
        try:
            from tensorflow.python.data.ops import multi_device_iterator_ops as ops
        except ImportError as error:
            raise moved(_MODULE, _PURPOSE) from error
        with _LOCK:
            return self._untuned(ops)

    def _untuned(self, ops):
        of_device = attribute(ops, "_create_device_dataset", _MODULE, _PURPOSE)
        options = tf.data.Options()
        options.autotune.enabled = False

        def untuned(*args, **kwargs):
            return of_device(*args, **kwargs).with_options(options)

        ops._create_device_dataset = untuned
        try:
            return iter(self._batches)
        finally:
            ops._create_device_dataset = of_device
