"""The run folder: a run's settings, what it has finished, and where to resume it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from igam_tf import files, locks
from igam_tf.data import registry
from igam_tf.experiment import controls, own_data, starts
from igam_tf.experiment.experiment import FIELDS, as_recorded
from igam_tf.experiment.provenance import provenance
from igam_tf.experiment.settings import LATER
from igam_tf.models.loading import load_keras

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment

#: SHA-256 of each finished model; a folder of an earlier version has none.
DIGESTS = "digests.json"


class Folder:
    """Files below a path; everything is written to a temporary name and renamed.

    Args:
        path: the folder.
        writes: whether this process writes; what it would write is left out if not.

    Raises:
        OSError: if the folder cannot be made or written.
    """

    def __init__(self, path: str | os.PathLike, *, writes: bool = True) -> None:
        self.writes = writes
        self.path = pathlib.Path(path).expanduser()
        self._verified: dict[str, tuple[int, int, int]] = {}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if writes:
                probe = self.path / f"{files.PREFIX}{os.getpid()}-write-test"
                probe.write_text("")
                probe.unlink()
        except OSError as error:
            raise OSError(
                f"--run_dir: cannot write to {self.path} ({error.strerror}); pass a "
                "folder that you may write to."
            ) from error

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps other processes out of the folder during a block.

        Raises:
            ValueError: if another one is at work here, with its host and pid.
        """
        if not self.writes:
            yield
            return
        with locks.held(self.path, flag="--run_dir"):
            # What a killed process has left half written.
            for left in self.path.rglob(f"{files.PREFIX}*"):
                within = left.relative_to(self.path).parents
                # A run inside of a table's folder has a lock of its own.
                owners = [self.path / p for p in within if p.parts]
                if left.is_file() and not any(
                    (p / locks.NAME).exists() for p in owners
                ):
                    left.unlink(missing_ok=True)
            yield

    def file(self, *parts: str) -> pathlib.Path:
        """Path of a file; its folder is made."""
        path = self.path.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_json(self, name: str, value: object) -> None:
        if self.writes:
            files.write_json(self.file(name), value)

    def read_json(
        self, name: str, *, way_out: str = "restore it, or pass another --run_dir"
    ) -> Any:
        """Contents of a file, or None if it is not there.

        Raises:
            ValueError: if it is damaged, with what to do.
        """
        return files.read_json(self.path / name, way_out=way_out)

    def read_flags(self) -> dict[str, Any] | None:
        """Contents of `flags.json`, or None.

        Raises:
            ValueError: if it is damaged.
        """
        way_out = (
            "delete it, if you are sure that the models here are of the settings you "
            "pass, or pass another --run_dir"
        )
        found = self.read_json("flags.json", way_out=way_out)
        if found is not None and not isinstance(found.get("settings"), dict):
            raise ValueError(
                f"{self.path / 'flags.json'} is damaged (it has no settings): "
                f"{way_out}."
            )
        return found

    def write_text(self, name: str, text: str) -> None:
        if self.writes:
            files.write_text(self.file(name), text)

    def save_model(self, model: keras.Model, name: str) -> None:
        if not self.writes:
            return
        with files.replacing(self.file(name)) as temporary:
            model.save(temporary)
            # Before the file has its name: a file without its digest is of an earlier
            # version, one with another digest is not what was written.
            self.record_digest(name, files.digest(temporary))

    def digest_of(self, name: str) -> str | None:
        """Recorded digest of a model, or None."""
        way_out = "delete it, if you trust the .keras files beside it"
        return (self.read_json(DIGESTS, way_out=way_out) or {}).get(name)

    def record_digest(self, name: str, digest: str) -> None:
        way_out = "delete it, if you trust the .keras files beside it"
        recorded = self.read_json(DIGESTS, way_out=way_out) or {}
        self.write_json(DIGESTS, {**recorded, name: digest})

    def is_finished(self, name: str) -> bool:
        """Whether a model is there, and is the one that was written.

        Raises:
            ValueError: if it is another one or damaged, with what to delete.
        """
        path = self.path / name
        if not path.exists():
            return False
        state = path.stat()
        stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
        if self._verified.get(name) != stamp:
            self._verify(name, path)
            self._verified[name] = stamp
        return True

    def _verify(self, name, path):
        recorded = self.digest_of(name)
        try:
            found = files.digest(path)
        except ValueError as error:
            raise ValueError(f"{error} Deleted, it is trained again.") from error
        if recorded not in (None, found):
            raise ValueError(
                f"{path} is not the file that this run wrote (SHA-256 {found[:16]}..., "
                f"recorded {recorded[:16]}... in {self.path / DIGESTS}). Put the right "
                f"file there, or delete {path} and what was made from it; it is "
                "trained again then. To use another network, pass another --run_dir."
            )

    def remove(self, *parts: str) -> None:
        """Removes a folder inside this one, if it is there."""
        if self.writes:
            shutil.rmtree(self.path.joinpath(*parts), ignore_errors=True)

    def load_model(
        self, name: str, strategy: tf.distribute.Strategy
    ) -> keras.Model | None:
        """The model of a finished stage, or None if the stage is not finished.

        Raises:
            ValueError: if the file is damaged, or not the one that was written.
        """
        if not self.is_finished(name):
            return None
        with strategy.scope():
            return load_keras(self.path / name)


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

    def __init__(self, experiment: Experiment, *, writes: bool = True) -> None:
        path = experiment.run.run_dir or default_path(experiment)
        super().__init__(path, writes=writes)
        self._check_settings(experiment)
        #: Records of data of one's own by role.
        self.own_data = own_data.records(experiment)
        own_data.check_unchanged(experiment, self.own_data, self)

    def record(
        self,
        experiment: Experiment,
        changes: Sequence[str] | None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes settings and versions of the run; a later session adds its versions.

        Settings that may change between sessions (attacks, rows) are those of the last.

        Args:
            experiment: the settings.
            changes: texts about where they differ from the recipe; None for those of an
                earlier session.
            more: what else is written beside them, once.
        """
        now, before = provenance(), self.read_flags()
        if changes is None:
            changes = (before or {}).get("changes", ())
        described = {
            "settings": experiment.flags(),
            "changes": list(changes),
            **({"data": self.own_data} if self.own_data else {}),
        }
        stored = {**described, **now, **(more or {}), **(before or {}), **described}
        if before and now != {name: before.get(name) for name in now}:
            later = before.get("resumed_with", [])
            stored["resumed_with"] = later if now in later else [*later, now]
        self.write_json("flags.json", stored)

    def finished_rows(self) -> tuple[str, ...]:
        """Names of the rows whose students are there, in the order of a table."""
        return tuple(
            row
            for row in controls.all_rows()
            if (self.path / row / "student.keras").exists()
        )

    def require_space(self, num_parameters: int) -> None:
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
        earlier = self.read_flags()
        if earlier is None:
            return
        now = json.loads(json.dumps(experiment.fixed_flags()))
        before = as_recorded(earlier["settings"], now)
        other = [n for n in now if n in before and before[n] != now[n]]
        if "student_checkpoint" in other and starts.is_same(
            experiment, before["student_checkpoint"]
        ):
            other.remove("student_checkpoint")
        if other:
            changes = ", ".join(
                f"--{n}: {before[n]!r} there, {now[n]!r} now" for n in other
            )
            raise ValueError(
                f"--run_dir: {self.path} holds a run of other settings ({changes}); "
                "pass the same settings to go on with it, or another --run_dir."
            )


def default_path(experiment: Experiment) -> pathlib.Path:
    """runs/SOURCE_to_TARGET-HASH, the same for the same settings."""
    # Folders have the names that they had before there were these flags.
    flags = {
        name: value
        for name, value in experiment.fixed_flags().items()
        if name not in LATER or value != FIELDS[name].default
    }
    fixed = json.dumps(flags, sort_keys=True)
    digest = hashlib.sha256(fixed.encode()).hexdigest()
    tasks = experiment.source_name, registry.short_name(experiment.data.target)
    return pathlib.Path("runs") / f"{'_to_'.join(filter(None, tasks))}-{digest[:8]}"
