"""Devices: which strategy trains, whether XLA compiles, seeds."""

import functools

import keras
import tensorflow as tf

STRATEGIES = ("auto", "one", "mirrored")


def strategy(name="auto", *, devices=0):
    """The `tf.distribute` strategy to create and train models under.

    Args:
        name: "mirrored" (MirroredStrategy), "one" (a single device), or "auto":
            mirrored over all local GPUs where there are several, one device else.
        devices: how many replicas; 0 means all GPUs, or one CPU.

    Returns:
        tf.distribute.Strategy.

    Raises:
        ValueError: if the name is unknown or there are not that many devices.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy={name!r}: expected one of {STRATEGIES}.")
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


def resolve_jit_compile(value):
    """Whether to compile with XLA: "auto" is yes on a GPU, no on the CPU.

    On the CPU XLA is slower than the oneDNN kernels (IGAM step 0.24 s against 0.12 s,
    `shared/design.md`).
    """
    if value in (True, False):
        return value
    if value != "auto":
        raise ValueError(f"jit_compile={value!r}: expected 'auto', True or False.")
    return bool(tf.config.list_logical_devices("GPU"))


def set_seed(seed):
    """Seeds Python, NumPy and TensorFlow, hence all initial weights."""
    keras.utils.set_random_seed(seed)
