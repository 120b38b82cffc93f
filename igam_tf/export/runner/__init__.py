"""Runs exported training steps and attacks by JAX, without TensorFlow. Experimental.

    step = igam_tf.export.runner.load("step")   # written by igam_tf.export_step
    losses = step.run(images, labels)           # one step; state stays on the device
    step.save_state("trained.npz")              # back: igam_tf.export.import_state

Whole trainings: `python -m igam_tf.export.runner --help`. Nothing here imports
TensorFlow or Keras: JAX and NumPy are all it needs, and JAX is imported when something
is run. Experimental: names, options and the format of the folder may change with any
release.
"""

from __future__ import annotations

import os
import typing

from igam_tf import lazy

if typing.TYPE_CHECKING:
    from igam_tf.export.runner.attack import ExportedAttack
    from igam_tf.export.runner.step import ExportedStep

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "ExportedAttack": "attack",
        "ExportedStep": "step",
        "Losses": "losses",
    },
    defined=["load"],
)


def load(path: str | os.PathLike) -> ExportedStep | ExportedAttack:
    """Loads an exported folder.

    Args:
        path: folder written by `igam_tf.export_step` or `export_attack`.

    Returns:
        `ExportedStep` or `ExportedAttack`.

    Raises:
        FileNotFoundError: if the folder has no manifest.
        ValueError: if it has another format.
        ModuleNotFoundError: if JAX is not installed.
    """
    from igam_tf.export.runner import folder

    manifest = folder.read_manifest(path)
    kind = {"step": "ExportedStep", "attack": "ExportedAttack"}[manifest["kind"]]
    return __getattr__(kind)(path, manifest)
