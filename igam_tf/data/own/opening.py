"""From a path to the data behind it: looked at once, read when asked for."""

from __future__ import annotations

import functools
import os
import pathlib
from typing import Any, Protocol

from igam_tf.data.own import names
from igam_tf.data.own.options import Options
from igam_tf.data.registry import DatasetInfo
from igam_tf.data.task import Task

_KINDS = (
    "a folder with one sub-folder a class, an .npz, a pair images.npy,labels.npy, a "
    ".csv, .tsv or .parquet table, or tfds:NAME"
)


class OwnData(Protocol):
    """What each kind of own data gives."""

    info: DatasetInfo

    def read(
        self,
        *,
        train_examples: int | None,
        test_examples: int | None,
        download: bool,
        progress: bool,
    ) -> Task:
        """The images and labels."""

    def fingerprint(self) -> dict[str, Any]:
        """A record that differs where the data do."""


def opened(name: str, data_dir: str | os.PathLike | None, options: Options) -> OwnData:
    """The data behind a path; looked at once as long as its folders do not change.

    Args:
        name: for which `names.is_own` holds.
        data_dir: folder of TFDS-prepared data, for tfds:NAME.
        options: `Options`.

    Raises:
        ValueError: if it is not what it should be.
        OSError: if it is missing or cannot be read.
    """
    folder = None if data_dir is None else os.fspath(data_dir)
    return _opened(name, os.getcwd(), folder, options, _stamp(name, folder))


@functools.lru_cache(maxsize=16)
def _opened(name, working_folder, data_dir, options, stamp):
    # Relative paths mean another folder elsewhere; a changed stamp, other files.
    del working_folder, stamp
    short = names.short_name(name)
    if name.startswith(names.TFDS):
        # Imported here: TFDS brings TensorFlow.
        from igam_tf.data.own.catalog import Catalog

        return Catalog(short, name, data_dir, options)
    paths = _paths(name)
    path, suffix = paths[0], paths[0].suffix.lower()
    try:
        if path.is_dir() and len(paths) == 1:
            from igam_tf.data.own import folders

            return folders.listing(short, path, options)
        if suffix in names.TABLES and len(paths) == 1:
            from igam_tf.data.own import tables

            return tables.listing(short, path, options)
        return _arrays(name, short, paths, options)
    except PermissionError as error:
        raise PermissionError(
            f"{name}: {error.filename} cannot be read ({error.strerror})."
        ) from error


def _arrays(name, short, paths, options):
    from igam_tf.data.own import arrays

    suffixes = [path.suffix.lower() for path in paths]
    if suffixes == [".npz"]:
        return arrays.Arrays(short, arrays.keys_of(paths[0]), options)
    if suffixes == [".npy", ".npy"]:
        return arrays.Arrays(short, dict(zip(("images", "labels"), paths)), options)
    raise ValueError(f"{name}: expected {_KINDS}.")


def _paths(name: str) -> list[pathlib.Path]:
    """The file or folder of a name, or both files of a pair."""
    whole = pathlib.Path(name).expanduser()
    parts = [name] if whole.exists() else name.split(",")
    paths = [pathlib.Path(part.strip()).expanduser() for part in parts]
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(
                f"{path} does not exist; expected {_KINDS}. Relative paths begin in "
                f"{os.getcwd()}."
            )
    return paths


def _stamp(name, data_dir):
    """Changes with files that are added, removed or (single ones) written anew."""
    if name.startswith(names.TFDS):
        # Imported here: TFDS brings TensorFlow.
        from igam_tf.data import prepared

        root = pathlib.Path(prepared.root_folder(data_dir))
        folder = root / name.removeprefix(names.TFDS)
        # With a config that is not named, versions are one level deeper.
        inside = sorted(folder.iterdir()) if folder.is_dir() else []
        return tuple(_mtime(path) for path in (root, folder, *inside))
    found = []
    for path in _paths(name):
        found.append(_mtime(path))
        if path.is_dir():
            inside = [p for p in path.iterdir() if p.is_dir()]
            # Classes are one level below the folder, or below its splits; to look for
            # folders among their images would take long.
            for folder in list(inside):
                if folder.name.lower() in names.SPLITS:
                    inside += [p for p in folder.iterdir() if p.is_dir()]
            found += [_mtime(folder) for folder in sorted(inside)]
    return tuple(found)


def _mtime(path):
    return path.stat().st_mtime_ns if path.exists() else 0
