"""Which `tf.distribute` strategy trains, on how many devices and machines."""

import functools
import json
import os

import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored", "multiworker")


def strategy(name: str = "auto", *, devices: int = 0) -> tf.distribute.Strategy:
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
    if devices < 0:
        raise ValueError(f"devices={devices}: expected 0, for all GPUs, or more.")
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
    if not isinstance(workers, list):
        raise ValueError(f"TF_CONFIG: workers {workers!r} are no list. {_TF_CONFIG}")
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
