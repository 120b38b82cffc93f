"""What a run trains on, in a line."""

import os

import tensorflow as tf

from igam_tf.distribution.computation import resolve_jit_compile
from igam_tf.distribution.workers import is_multiworker


def describe(
    strategy: tf.distribute.Strategy,
    *,
    precision: str = "float32",
    jit_compile: bool | str = "auto",
) -> str:
    """Devices, XLA and precision of a training.

    Args:
        strategy: the `tf.distribute` strategy that trains.
        precision: of its layers, see `precision`.
        jit_compile: see `resolve_jit_compile`.

    Returns:
        Such as "2 x NVIDIA H200, XLA, float32" or "CPU: 2 cores, float32; a GPU needs
        pip install igam_tf[gpu]".
    """
    workers = 1
    if is_multiworker(strategy):
        workers = strategy.cluster_resolver.cluster_spec().num_tasks("worker")
    replicas = strategy.num_replicas_in_sync // workers
    gpus = tf.config.list_physical_devices("GPU")
    how = ["XLA"] * resolve_jit_compile(jit_compile) + [precision]
    if gpus:
        what = f"{replicas} x {_name(gpus[0])}" if replicas > 1 else _name(gpus[0])
        after = ""
    else:
        cores = _cores()
        what = f"CPU: {cores} core" + ("s" if cores != 1 else "")
        how[:0] = [f"{replicas} replicas"] * (replicas > 1)
        after = "; a GPU needs pip install igam_tf[gpu]"
    start = f"{workers} workers, each with " if workers > 1 else ""
    return f"{start}{', '.join([what, *how])}{after}"


def _cores():
    """Those that this process may use, where the system says so."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _name(gpu):
    details = tf.config.experimental.get_device_details(gpu)
    return details.get("device_name", "GPU")
