"""The state of a run in a file, so that a killed one goes on where it was."""

import hashlib
import os
import pathlib
import time
import zipfile
import zlib
from collections.abc import Callable

import numpy as np

from igam_tf import files

_SECONDS_BETWEEN = 20.0


class Checkpoint:
    """One file for one run; its name tells model, attacks and images apart.

    Args:
        folder: path of a folder that is made if need be; None for no file at all.
        identity: list of texts and arrays that decide the result.
    """

    def __init__(self, folder: str | os.PathLike | None, identity: list) -> None:
        self._path = None
        self._saved = time.perf_counter()
        if folder is not None:
            name = f"autoattack-{_digest(identity)[:20]}.npz"
            self._path = pathlib.Path(folder) / name
            self._path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> dict[str, np.ndarray] | None:
        """Dict of the arrays last saved, or None.

        Raises:
            ValueError: if the file is damaged.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            with np.load(self._path) as arrays:
                return dict(arrays)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"{self._path} cannot be read ({error}): expected the state of an "
                "evaluation; delete it to start that evaluation again."
            ) from error

    def save_if_due(self, arrays: Callable[[], dict[str, np.ndarray]]) -> None:
        """Saves what `arrays()` returns, unless the last time is seconds ago."""
        if self._path and time.perf_counter() - self._saved > _SECONDS_BETWEEN:
            self.save(arrays())

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Writes a dict of arrays, under another name first and then renamed."""
        if self._path is None:
            return
        with files.replacing(self._path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        self._saved = time.perf_counter()


def _digest(identity):
    digest = hashlib.sha256()
    for item in identity:
        if isinstance(item, np.ndarray):
            digest.update(f"{item.dtype} {item.shape}".encode())
            digest.update(np.ascontiguousarray(item).view(np.uint8).data)
        else:
            digest.update(str(item).encode())
        digest.update(b"\0")
    return digest.hexdigest()
