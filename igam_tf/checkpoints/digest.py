"""The SHA-256 by which a checkpoint is identified."""

import hashlib
import os
import pathlib

from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIXES, located


def digest(path: str | os.PathLike) -> str:
    """SHA-256 of a network's file, as hexadecimal text.

    Args:
        path: what `load` takes.

    Returns:
        That of the file (as `sha256sum` gives it) for a `.keras` or `.h5` file, or a
        zip; of a TensorFlow 1 checkpoint that of its `.index` and `.data` files one
        after the other, in the order of their names.

    Raises:
        CheckpointError, FileNotFoundError: if there is no checkpoint at the path.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix in KERAS_SUFFIXES:
        return _digest([path])
    with located(path) as (prefix, _):
        if path.is_file() and not str(path).startswith(str(prefix)):
            return _digest([path])
        base = pathlib.Path(prefix).name
        inside = pathlib.Path(prefix).parent.iterdir()
        return _digest(sorted(p for p in inside if _belongs(p.name, base)))


def _belongs(name, base):
    return name == f"{base}.index" or name.startswith(f"{base}.data-")


def _digest(paths):
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: found)
    return found.hexdigest()
