"""One StableHLO program, compiled and run by JAX.

A portable artifact becomes a `jax.export.Exported`, which `jax.jit` compiles like any
function. So placement, asynchronous execution, donation and the compilation cache
(`JAX_COMPILATION_CACHE_DIR`) are JAX's own, and only its public interface is used.
"""

import contextlib
import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping

import jax
import jax.export
import jax.numpy as jnp

from igam_tf.export.runner.folder import dtype_of


class Program:
    """A program of an exported folder; compiled when first called.

    Args:
        folder: the exported folder.
        name: of the program.
        entry: what the manifest says of it: its file, its arguments in order (name,
            shape, dtype), its results in order (the same, and for an updated variable
            the index of the argument whose memory it takes over).
    """

    def __init__(self, folder: str | os.PathLike, name: str, entry: dict):
        self.name = name
        self.path = pathlib.Path(folder) / entry["file"]
        self.arguments = [argument["name"] for argument in entry["arguments"]]
        self.results = [result["name"] for result in entry["results"]]
        self._arguments = [_spec(argument) for argument in entry["arguments"]]
        self._results = [_spec(result) for result in entry["results"]]
        self._donated = tuple(
            result["updates"] for result in entry["results"] if "updates" in result
        )

    @functools.cached_property
    def lowered(self) -> jax.stages.Lowered:
        """The `jax.stages.Lowered` of it, which knows `cost_analysis()`."""
        with wide_integers():
            # Its fields (trees, types, platform, version) are JAX's business: those of
            # a function of the same signature, whose program is then replaced.
            exported = jax.export.export(jax.jit(self._nothing, keep_unused=True))(
                *self._arguments
            )
            exported = dataclasses.replace(
                exported, mlir_module_serialized=self.path.read_bytes()
            )
            function = jax.jit(
                lambda *arguments: exported.call(*arguments),
                donate_argnums=self._donated,
                keep_unused=True,
            )
            return function.lower(*self._arguments)

    @functools.cached_property
    def compiled(self) -> jax.stages.Compiled:
        """The `jax.stages.Compiled` of it."""
        with wide_integers():
            return self.lowered.compile()

    def __call__(
        self, values: Mapping[str, object], state: dict[str, jax.Array]
    ) -> dict[str, jax.Array]:
        """Runs the program; returns at once, with arrays that may not be ready.

        Args:
            values: arrays of the inputs by name.
            state: arrays on the device by variable name. Those that the program
                updates are replaced in this dict; their old memory is reused.

        Returns:
            dict of the other results by name.
        """
        with wide_integers():
            arguments = [
                state[name] if name in state else values[name]
                for name in self.arguments
            ]
            results = dict(zip(self.results, self.compiled(*arguments), strict=True))
        outputs: dict[str, jax.Array] = {}
        for name, result in results.items():
            (state if name in state else outputs)[name] = result
        return outputs

    def _nothing(self, *arguments):
        del arguments
        return [jnp.zeros(result.shape, result.dtype) for result in self._results]


def wide_integers() -> contextlib.AbstractContextManager:
    """Within it JAX keeps int64, in which Keras counts steps."""
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    # Before JAX 0.8.
    from jax.experimental import enable_x64  # type: ignore[attr-defined]  # gone since

    return enable_x64(True)


def _spec(entry):
    return jax.ShapeDtypeStruct(tuple(entry["shape"]), dtype_of(entry["dtype"]))
