"""A training step that `igam_tf.export_step` wrote, run by JAX."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import typing
from collections.abc import Sequence

import numpy as np

from igam_tf.export.runner import folder, state
from igam_tf.export.runner.checks import as_batch
from igam_tf.export.runner.losses import Losses
from igam_tf.export.runner.program import Program

if typing.TYPE_CHECKING:
    import jax


class ExportedStep:
    """A training step with its state; `igam_tf.export.runner.load` makes it.

    Attributes:
        manifest: dict, see `igam_tf.export.runner.folder`.
        programs: `Program` by name: one for each phase, perhaps "second_update", and
            "schedule". Each is compiled when it is first needed.
        state: variables on the device by name, or None before the first use.
        step: number of steps taken, those before the export included.
    """

    def __init__(self, path: str | os.PathLike, manifest: dict):
        self.path = pathlib.Path(path)
        self.manifest = manifest
        self.programs = {
            name: Program(self.path, name, entry)
            for name, entry in manifest["programs"].items()
        }
        self.state: typing.Any = None
        self.step: typing.Any = None
        self._plans: dict[int, dict[str, np.ndarray]] = {}

    @property
    def batch_size(self) -> int:
        """Number of images in a step."""
        return self.manifest["batch_size"]

    def initial_state(self) -> dict[str, jax.Array]:
        """Puts the exported state on the device, and returns it."""
        return self.load_state(self.path)

    def load_state(self, path: str | os.PathLike) -> dict[str, jax.Array]:
        """Continues from a state that `save_state` wrote; returns it.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is of other networks.
        """
        return self._set(state.load(path, self.manifest))

    def random_state(self, seed: int = 0) -> dict[str, jax.Array]:
        """Made-up variables, for timing an export that was written without state."""
        return self._set(state.random(self.manifest, seed))

    def save_state(self, path: str | os.PathLike) -> None:
        """Writes all variables to an .npz file, in whole or not at all."""
        self._need_state()
        folder.write_state(path, {n: np.asarray(a) for n, a in self.state.items()})

    def compile(self, names: Sequence[str] | None = None) -> None:
        """Compiles programs now, in parallel, instead of each when it is first needed.

        Args:
            names: of programs; all by default.
        """
        programs = [self.programs[name] for name in names or self.programs]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda program: program.compiled, programs))

    def run(self, images: np.ndarray, labels: np.ndarray) -> Losses:
        """One training step.

        Args:
            images: array (batch_size, height, width, channels): uint8, or float32 in
                [0, 1], as exported (uint8 may stand for float32).
            labels: integers (batch_size,).

        Returns:
            `Losses` of this step: a mapping that waits for the device when it is read.

        Raises:
            ValueError: if the batch is not of the exported shape.
        """
        self._need_state()
        images, labels = as_batch(images, labels, self.manifest)
        phase, second = self.plan(self.step)
        step = np.int64(self.step)
        values = {"images": images, "labels": labels, "step": step}
        outputs = self.programs[phase](values, self.state)
        if second:
            self.programs[folder.SECOND]({**outputs, "step": step}, self.state)
        self.step += 1
        return Losses(self.manifest["reports"], outputs["sums"], outputs["counts"])

    def plan(self, step: int) -> tuple[str, bool]:
        """Which programs a step needs.

        Args:
            step: integer, number of the step.

        Returns:
            Tuple (phase, second): the phase's name, and whether the second update is
            due after it.
        """
        program = self.programs[folder.SCHEDULE]
        length = self.manifest["programs"][folder.SCHEDULE]["results"][0]["shape"][0]
        first = step - step % length
        if first not in self._plans:
            found = program({"first_step": np.int64(first)}, {})
            self._plans = {first: {name: np.asarray(a) for name, a in found.items()}}
        plan, index = self._plans[first], step - first
        phase = self.manifest["phases"][plan["phase"][index]]
        return phase, bool(plan["second_due"][index])

    def _set(self, variables):
        self.state = variables
        self.step = int(variables[self.manifest["step_variable"]])
        return variables

    def _need_state(self):
        if self.state is None:
            self.initial_state()
