"""How layers compute: in which precision, and whether XLA compiles them."""

import contextlib
from collections.abc import Iterator

import keras
import tensorflow as tf

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
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


def resolve_jit_compile(value: bool | str) -> bool:
    """Whether to compile with XLA: "auto" is yes on a GPU, no on the CPU.

    On the CPU XLA is slower than the oneDNN kernels (an IGAM step of 0.24 s
    against 0.12 s).
    """
    if value in (True, False):
        return bool(value)
    if value != "auto":
        raise ValueError(f"jit_compile={value!r}: expected 'auto', True or False.")
    return bool(tf.config.list_logical_devices("GPU"))
