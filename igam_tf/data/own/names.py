"""Tells paths from the names of registered data sets, without reading anything."""

import os
import pathlib
import re

TFDS = "tfds:"
#: Names of splits, of folders or in a table, in small letters.
TRAIN = ("train", "training")
#: Looked for in this order: with both, validation images are left alone.
TEST = ("test", "testing", "val", "valid", "validation")
SPLITS = (*TRAIN, *TEST)
ARRAYS, TABLES = (".npz", ".npy"), (".csv", ".tsv", ".parquet")


def is_own(name: str) -> bool:
    """Whether a name that is not registered means data of one's own.

    Args:
        name: as given to `--source`, `--target` or `--dataset`.
    """
    return (
        name.startswith((TFDS, ".", "~"))
        or name.lower().endswith((*ARRAYS, *TABLES))
        or "/" in name
        or os.sep in name
        or (bool(name) and os.path.isdir(name))
    )


def are_arrays(name: str) -> bool:
    """Whether a path is of arrays, which have one size and are read as a whole.

    Args:
        name: for which `is_own` holds.
    """
    return not name.startswith(TFDS) and name.lower().endswith(ARRAYS)


def short_name(name: str) -> str:
    """The last part of a path, for titles and for the names of run folders.

    Args:
        name: any name; one that is no path is returned as it is.
    """
    if not is_own(name):
        return name
    if name.startswith(TFDS):
        found = name.removeprefix(TFDS)
    else:
        path = pathlib.Path(name.split(",")[0]).expanduser()
        is_file = path.suffix.lower() in (*ARRAYS, *TABLES)
        # "." and ".." have a name only as whole paths.
        found = path.stem if is_file else path.name or path.resolve().name
        found = pathlib.Path(path.resolve()).name if found in ("", "..") else found
    return re.sub(r"[^\w.-]+", "_", found).strip("._") or "data"
