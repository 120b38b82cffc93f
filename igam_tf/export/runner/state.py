"""The variables of exported programs, on the device."""

import os
from collections.abc import Mapping

import jax
import numpy as np

from igam_tf.export.runner import folder
from igam_tf.export.runner.program import wide_integers


def specs(manifest: dict) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every variable that the programs of a folder use, by name."""
    return {
        argument["name"]: (tuple(argument["shape"]), argument["dtype"])
        for program in manifest["programs"].values()
        for argument in program["arguments"]
        if argument["name"] in manifest["variables"]
    }


def load(path: str | os.PathLike, manifest: dict) -> dict[str, jax.Array]:
    """The variables of a folder's programs, read from a state and put on the device.

    Args:
        path: state.npz, or a folder with one.
        manifest: of the folder whose programs will use them.

    Returns:
        dict of jax.Array by name.

    Raises:
        FileNotFoundError: if there is no state.
        ValueError: if a variable is missing or has another shape.
    """
    arrays = folder.read_state(path)
    wanted = specs(manifest)
    wrong = [n for n, (shape, _) in wanted.items() if _shape(arrays, n) != shape]
    if wrong:
        raise ValueError(
            f"{path} lacks {', '.join(wrong[:3])} ({len(wrong)} of {len(wanted)} "
            "variables), or has them in another shape; expected a state of the same "
            "networks."
        )
    typed = {n: folder.typed(arrays[n], dtype) for n, (_, dtype) in wanted.items()}
    return put(typed)


def random(manifest: dict, seed: int = 0) -> dict[str, jax.Array]:
    """Made-up variables, for timing only; sized so that activations stay finite.

    NaN and zeros need less power than numbers, and can run faster.
    """
    rng = np.random.default_rng(seed)
    arrays = {n: _drawn(rng, *spec) for n, spec in specs(manifest).items()}
    # Adam takes the square root of its second moments.
    return put({n: abs(a) if "optimizer" in n else a for n, a in arrays.items()})


def put(arrays: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """Arrays by name, copied to the default device."""
    with wide_integers():
        # Copied: the CPU's device would otherwise use NumPy's memory, and donate it.
        return {n: jax.device_put(a, may_alias=False) for n, a in arrays.items()}


def _drawn(rng, shape, dtype):
    dtype = folder.dtype_of(dtype)
    if dtype.kind in "iu":
        return np.zeros(shape, dtype)
    if not shape:  # A learning rate.
        return np.asarray(rng.uniform(0.001, 0.01), dtype)
    if len(shape) == 1:  # Of a normalisation: variances must be positive.
        return rng.uniform(0.5, 1.0, shape).astype(dtype)
    scale = np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    return (scale * rng.standard_normal(shape, np.float32)).astype(dtype)


def _shape(arrays, name):
    return arrays[name].shape if name in arrays else None
