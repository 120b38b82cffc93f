"""The folder of an exported program: manifest, StableHLO files, state.

    manifest.json    programs, their arguments and results in order, batch, schedule
    NAME.stablehlo   one program each, a StableHLO portable artifact
    state.npz        every variable by its name, as at the export

Both sides of an export read and write through this file: NumPy and the standard
library only.
"""

import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from igam_tf import files

MANIFEST = "manifest.json"
STATE = "state.npz"
FORMAT = 1
KINDS = ("step", "attack")
# Names of programs; those of the student's update are named after the phases.
SCHEDULE = "schedule"
SECOND = "second_update"
ATTACK = "attack"


def read_manifest(folder: str | os.PathLike) -> dict:
    """The manifest of an exported folder, as a dict.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged, or was written in a format that this version does
            not know.
    """
    path = pathlib.Path(folder) / MANIFEST
    manifest = files.read_json(path, way_out="export again")
    if manifest is None:
        raise FileNotFoundError(
            f"{path} does not exist: expected a folder written by "
            "igam_tf.export_step or igam_tf.export.export_attack."
        )
    if manifest.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {manifest.get('format')!r}: this version reads format "
            f"{FORMAT}; export again with it."
        )
    if manifest.get("kind") not in KINDS:
        raise ValueError(
            f"{path} is of the kind {manifest.get('kind')!r}: expected one of {KINDS}; "
            "export again."
        )
    return manifest


def write_folder(
    folder: str | os.PathLike,
    manifest: dict,
    programs: Mapping[str, bytes],
    state: Mapping[str, np.ndarray] | None,
) -> None:
    """Writes a whole folder under a temporary name and renames it.

    Args:
        folder: path that does not exist yet.
        manifest: dict of JSON values.
        programs: bytes of each StableHLO file by file name.
        state: arrays by variable name, or None to leave the state out.

    Raises:
        FileExistsError: if the folder exists.
    """
    folder = pathlib.Path(folder)
    check_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing_folder(folder) as partial:
        for name, content in programs.items():
            (partial / name).write_bytes(content)
        if state is not None:
            write_state(partial / STATE, state)
        text = json.dumps({"format": FORMAT, **manifest}, indent=1)
        (partial / MANIFEST).write_text(text + "\n")


def check_new(folder: str | os.PathLike) -> None:
    """Raises FileExistsError if the folder of an export exists."""
    if pathlib.Path(folder).exists():
        raise FileExistsError(
            f"{folder} exists: an export overwrites nothing; remove it or choose "
            "another path."
        )


def write_state(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes arrays by name to an .npz file, in whole or not at all."""
    path = pathlib.Path(path)
    with files.replacing(path) as partial, open(partial, "wb") as file:
        np.savez(file, **{name: _plain(array) for name, array in arrays.items()})


def read_state(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays by name of an .npz state; bfloat16 comes as the uint16 it was saved as.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is damaged.
    """
    path = pathlib.Path(path)
    path = path / STATE if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(
            f"{path} does not exist: expected a state.npz, or a folder with one "
            "(exports made with save_state=False have none)."
        )
    return read_arrays(path, expected="expected a state.npz; copy it anew")


def read_arrays(path: str | os.PathLike, *, expected: str) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by name.

    Args:
        path: the file.
        expected: what the file should be, and what to do if it is damaged.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is another file, or a damaged one.
    """
    try:
        # Opened here: NumPy leaves a damaged file open.
        with open(path, "rb") as file:
            found = np.load(file, allow_pickle=False)
            if not isinstance(found, np.lib.npyio.NpzFile):
                raise ValueError("it is a single array")
            return {name: found[name] for name in found.files}
    except files.ARCHIVE_ERRORS as error:
        raise ValueError(
            f"{path} is no .npz file, or a damaged one ({error}): {expected}."
        ) from error


def typed(array: np.ndarray, dtype: str) -> np.ndarray:
    """An array of `read_state` in the type that its variable has.

    Args:
        array: NumPy array.
        dtype: name such as "float32" or "bfloat16".

    Raises:
        ValueError: if the array has another type.
    """
    wanted = dtype_of(dtype)
    if array.dtype == np.uint16 and wanted.name == "bfloat16":
        return array.view(wanted)
    if array.dtype != wanted:
        raise ValueError(f"state has a variable of {array.dtype}: expected {dtype}.")
    return array


def dtype_of(name: str) -> np.dtype:
    """NumPy type of a name; those that NumPy lacks come from ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # Installed with JAX and with TensorFlow; seldom needed.

        return np.dtype(getattr(ml_dtypes, name))


def _plain(array):
    array = np.asarray(array)
    # NumPy would save it as two bytes of nothing in particular.
    return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
