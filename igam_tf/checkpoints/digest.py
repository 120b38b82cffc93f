"""The SHA-256 by which a checkpoint is identified."""

import hashlib
import os
import pathlib

from igam_tf import files
from igam_tf.checkpoints.tf1.locate import KERAS_SUFFIXES, located


def digest(path: str | os.PathLike) -> str:
    """SHA-256 of a network's file, as hexadecimal text.

    Args:
        path: what `load` takes.

    Returns:
        For a `.keras` file that of what it holds (`igam_tf.files.digest`), without its
        card, which is written anew whenever the network is evaluated again. That of
        the file (as `sha256sum` gives it) for an `.h5` file, or a zip; of a TensorFlow
        1 checkpoint that of its `.index` and `.data` files one after the other, in the
        order of their names.

    Raises:
        CheckpointError, FileNotFoundError: if there is no checkpoint at the path.
        ValueError: if it is a damaged `.keras` file.
    """
    path = pathlib.Path(path).expanduser()
    if path.suffix == ".keras":
        return files.digest(path)
    if path.suffix in KERAS_SUFFIXES:
        return _digest([path])
    with located(path) as (prefix, _):
        if path.is_file() and not str(path).startswith(str(prefix)):
            return _digest([path])
        base = pathlib.Path(prefix).name
        inside = pathlib.Path(prefix).parent.iterdir()
        return _digest(sorted(p for p in inside if _belongs(p.name, base)))


def known_digests(path: str | os.PathLike) -> frozenset[str]:
    """What may have been recorded of a network's file.

    Args:
        path: what `load` takes.

    Returns:
        Its `digest`, and what that was in earlier versions: of a `.keras` file the
        SHA-256 of the whole file, with its card.

    Raises:
        CheckpointError, FileNotFoundError, ValueError: as `digest`.
    """
    path = pathlib.Path(path).expanduser()
    whole = {_digest([path])} if path.suffix == ".keras" and path.is_file() else set()
    return frozenset({digest(path), *whole})


def _belongs(name, base):
    return name == f"{base}.index" or name.startswith(f"{base}.data-")


def _digest(paths):
    found = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: found)
    return found.hexdigest()
