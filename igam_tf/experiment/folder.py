"""The run folder: what a run was, what it has finished, and where it goes on."""

import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess

import keras
import numpy as np
import tensorflow as tf

import igam_tf


class Folder:
    """Files below a path; everything is written to a temporary name and renamed.

    Args:
        path: the folder.
        writes: whether this process writes; what it would write is left out if not.

    Raises:
        OSError: if the folder cannot be made or written.
    """

    def __init__(self, path, *, writes=True):
        self.writes = writes
        self.path = pathlib.Path(path).expanduser()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if writes:
                probe = self.path / "incomplete-write-test"
                probe.write_text("")
                probe.unlink()
        except OSError as error:
            raise OSError(
                f"--run_dir: cannot write to {self.path} ({error.strerror}); pass a "
                "folder that you may write to."
            ) from error

    def file(self, *parts):
        """Path of a file; its folder is made."""
        path = self.path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name, value):
        self.write_text(name, json.dumps(value, indent=1, default=str) + "\n")

    def read_json(self, name):
        """Contents of a file, or None if it is not there."""
        path = self.path / name
        return json.loads(path.read_text()) if path.exists() else None

    def write_text(self, name, text):
        if not self.writes:
            return
        path = self.file(name)
        temporary = path.with_name(f"incomplete-{path.name}")
        temporary.write_text(text)
        os.replace(temporary, path)

    def save_model(self, model, name):
        if not self.writes:
            return
        path = self.file(name)
        temporary = path.with_name(f"incomplete-{path.name}")
        model.save(temporary)
        os.replace(temporary, path)

    def remove(self, *parts):
        """Removes a folder inside this one, if it is there."""
        if self.writes:
            shutil.rmtree(self.path.joinpath(*parts), ignore_errors=True)

    def load_model(self, name, strategy):
        """The model of a finished stage, or None if the stage is not finished."""
        path = self.path / name
        if not path.exists():
            return None
        with strategy.scope():
            return keras.models.load_model(path, compile=False)


class RunFolder(Folder):
    """Files of one run.

    Args:
        experiment: the settings, compared with those of an earlier run in the folder.
        writes: False for all but one of the processes that share the folder: what
            they would write is left out.

    Raises:
        ValueError: if the folder holds a run of other settings.
        OSError: if the folder cannot be made or written.
    """

    def __init__(self, experiment, *, writes=True):
        super().__init__(experiment.run_dir or default_path(experiment), writes=writes)
        self._check_settings(experiment)

    def record(self, experiment, changes):
        """Writes what the run is; a later session adds its versions.

        Settings that may change between sessions (attacks, rows) are those of the last.

        Args:
            experiment: the settings.
            changes: where they differ from the recipe, texts; None for what an earlier
                session said.
        """
        now, before = provenance(), self.read_json("flags.json")
        if changes is None:
            changes = (before or {}).get("changes", ())
        told = {
            "settings": dataclasses.asdict(experiment),
            "changes": list(changes),
        }
        stored = {**told, **now, **(before or {}), **told}
        if before and now != {name: before[name] for name in now}:
            later = before.get("resumed_with", [])
            stored["resumed_with"] = later if now in later else [*later, now]
        self.write_json("flags.json", stored)

    def require_space(self, num_parameters):
        """Checks that two checkpoints and the finished models fit on the disk.

        Raises:
            OSError: if they do not.
        """
        # Weights, momentum and the discriminator, twice, and four saved models.
        needed = num_parameters * 4 * 10 + 50e6
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OSError(
                f"{self.path} has {free / 1e9:.2f} GB free, but the checkpoints of "
                f"this run need about {needed / 1e9:.2f} GB; free some space or pass "
                "another --run_dir."
            )

    def _check_settings(self, experiment):
        earlier = self.read_json("flags.json")
        if earlier is None:
            return
        fixed = [
            f.name for f in dataclasses.fields(experiment) if not f.metadata["may_change"]
        ]
        now = json.loads(json.dumps(dataclasses.asdict(experiment)))
        before = earlier["settings"]
        other = [n for n in fixed if n in before and before[n] != now[n]]
        if other:
            changes = ", ".join(f"--{n}: {before[n]!r} there, {now[n]!r} now" for n in other)
            raise ValueError(
                f"--run_dir: {self.path} holds a run of other settings ({changes}); "
                "pass the same settings to go on with it, or another --run_dir."
            )


def default_path(experiment):
    """runs/SOURCE_to_TARGET-HASH, the same for the same settings."""
    fixed = {
        f.name: getattr(experiment, f.name)
        for f in dataclasses.fields(experiment)
        if not f.metadata["may_change"]
    }
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return pathlib.Path("runs") / f"{experiment.source}_to_{experiment.target}-{digest[:8]}"


def provenance():
    """Versions and git revision, for the results of a run."""
    return {
        "git_revision": _git_revision(),
        "versions": {
            "igam_tf": igam_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "machine": {
            "cpus": os.cpu_count(),
            "gpus": len(tf.config.list_physical_devices("GPU")),
        },
    }


def _git_revision():
    """Revision of this package's checkout; None without git or outside of one."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=pathlib.Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return found.stdout.strip() or None
