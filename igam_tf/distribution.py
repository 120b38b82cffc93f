"""Devices: which strategy trains, on how many machines, in which precision; seeds."""

import contextlib
import functools
import json
import os

import keras
import tensorflow as tf

from igam_tf.errors import WorkerLostError

STRATEGIES = ("auto", "one", "mirrored", "multiworker")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def strategy(name="auto", *, devices=0):
    """The `tf.distribute` strategy to create and train models under.

    Args:
        name: "mirrored" (MirroredStrategy), "multiworker" (several machines, named by
            TF_CONFIG), "one" (a single device), or "auto": multiworker where TF_CONFIG
            names several workers, mirrored over all local GPUs where there are
            several, one device else.
        devices: how many local replicas; 0 means all GPUs, or one CPU.

    Returns:
        tf.distribute.Strategy.

    Raises:
        ValueError: if the name is unknown, there are not that many devices, or
            TF_CONFIG does not fit.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy={name!r}: expected one of {STRATEGIES}.")
    workers = _workers()
    if name == "multiworker" or (name == "auto" and len(workers) > 1):
        return _multiworker(len(workers), devices)
    gpus = tf.config.list_logical_devices("GPU")
    local = [d.name for d in gpus or tf.config.list_logical_devices("CPU")]
    if name == "one" and devices > 1:
        raise ValueError(
            f"devices={devices} with strategy='one'; ask for strategy='mirrored'."
        )
    count = devices or (len(gpus) or 1)
    if count > len(local):
        raise ValueError(
            f"devices={devices}, but this machine has {len(local)} "
            f"({', '.join(local)}); ask for at most {len(local)}."
        )
    if name == "one" or (name == "auto" and count == 1):
        return tf.distribute.get_strategy()
    return _mirrored(tuple(local[:count]))


@functools.cache
def _mirrored(devices):
    """One strategy for a set of devices: two of them in a process would number their
    collective operations alike, and TensorFlow would mix them up."""
    return tf.distribute.MirroredStrategy(list(devices))


def _workers():
    """Addresses of all workers that TF_CONFIG names; [] without it."""
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return []
    try:
        config = json.loads(text)
        workers = config.get("cluster", {}).get("worker", [])
        task = config.get("task", {}) if workers else {"type": "worker", "index": 0}
        kind, index = task["type"], int(task["index"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG={text!r} cannot be read. {_TF_CONFIG}") from error
    if workers and (kind != "worker" or not 0 <= index < len(workers)):
        raise ValueError(
            f"TF_CONFIG: task {kind} {index} of {len(workers)} workers. {_TF_CONFIG}"
        )
    return workers


_TF_CONFIG = (
    'Expected, on each machine with its own index from 0: TF_CONFIG=\'{"cluster": '
    '{"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", '
    '"index": 0}}\'.'
)


@functools.cache
def _multiworker(num_workers, devices):
    if not num_workers:
        raise ValueError(f"strategy='multiworker' without TF_CONFIG. {_TF_CONFIG}")
    if devices:
        raise ValueError(
            f"devices={devices} with several workers: each uses all its GPUs, or its "
            "CPU; hide GPUs by CUDA_VISIBLE_DEVICES."
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_chief(strategy):
    """Whether this process writes the files: the first worker, or the only process."""
    resolver = strategy.cluster_resolver
    return resolver is None or not resolver.task_id


def is_multiworker(strategy):
    """Whether other processes train with this one."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def local(strategy):
    """The strategy for what one worker does alone, such as evaluating."""
    return _DEFAULT if is_multiworker(strategy) else strategy


_DEFAULT = tf.distribute.get_strategy()


def from_first_worker(strategy, number):
    """The first worker's number, an int32, at every worker, when all have come here."""

    def own():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        return tf.where(replica == 0, number, 0)

    @tf.function
    def total():
        return strategy.reduce("SUM", strategy.run(own), axis=None)

    return int(total())


def wait_for_all(strategy):
    """Returns when all workers have come to this point; at once without others."""
    if is_multiworker(strategy):
        from_first_worker(strategy, 0)


@contextlib.contextmanager
def noticing_lost_workers(strategy):
    """Raises WorkerLostError where TensorFlow tells of a lost worker."""
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
        if not is_multiworker(strategy):
            raise
        raise WorkerLostError(
            "Another worker went away. Start the same command again on every machine; "
            "training goes on at the last finished epoch."
        ) from error


@contextlib.contextmanager
def precision(name):
    """Within it, new layers compute in this precision; weights stay float32.

    Args:
        name: "float32", "mixed_bfloat16" or "mixed_float16".

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in PRECISIONS:
        raise ValueError(f"precision={name!r}: expected one of {PRECISIONS}.")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def resolve_jit_compile(value):
    """Whether to compile with XLA: "auto" is yes on a GPU, no on the CPU.

    On the CPU XLA is slower than the oneDNN kernels (an IGAM step of 0.24 s
    against 0.12 s).
    """
    if value in (True, False):
        return value
    if value != "auto":
        raise ValueError(f"jit_compile={value!r}: expected 'auto', True or False.")
    return bool(tf.config.list_logical_devices("GPU"))


def set_seed(seed):
    """Seeds Python, NumPy and TensorFlow, hence all initial weights."""
    keras.utils.set_random_seed(seed)
