"""Several machines that train together: who writes, who waits, who went away."""

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from igam_tf.errors import WorkerLostError

_DEFAULT = tf.distribute.get_strategy()


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process writes the files: the first worker, or the only process."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_id


def is_multiworker(strategy: tf.distribute.Strategy) -> bool:
    """Whether other processes train with this one."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def local(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """The strategy for what one worker does alone, such as evaluating."""
    return _DEFAULT if is_multiworker(strategy) else strategy


def from_first_worker(strategy: tf.distribute.Strategy, number: int) -> int:
    """The first worker's number, an int32, at every worker, when all have come here."""

    def own():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(replica == 0, number, 0)

    @tf.function
    def total():
        return strategy.reduce("SUM", strategy.run(own), axis=None)

    return int(total())


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Returns when all workers have come to this point; at once without others."""
    if is_multiworker(strategy):
        from_first_worker(strategy, 0)


@contextlib.contextmanager
def noticing_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Raises WorkerLostError where TensorFlow tells of a lost worker."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if not is_multiworker(strategy):
            raise
        raise WorkerLostError(
            "Another worker went away. Start the same command again on every machine; "
            "training goes on at the last saved epoch."
        ) from error
