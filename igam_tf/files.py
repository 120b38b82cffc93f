"""The one writer of files: a temporary name, synced, renamed; and what reads them back.

A file that bears its name is whole, also after a power cut. Nothing here imports
TensorFlow or Keras.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator

PREFIX = "incomplete-"
# Another one: who removes what a killed process left of files looks for files only.
FOLDER_PREFIX = f".{PREFIX}"
# Keras stores weights uncompressed; a network whose numbers repeat shrinks by less.
_MOST_INFLATED, _ALWAYS_FINE = 100, 64 * 1024**2
#: What `zipfile`, and NumPy of an .npz file, raise where it is damaged.
ARCHIVE_ERRORS = (
    zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError,
    ValueError, OverflowError,
)  # fmt: skip


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A temporary path beside a file, which takes the file's place in the end.

    Args:
        path: the file; its folder must exist.

    Yields:
        pathlib.Path to write to, with the same suffix. It is synced and renamed when
        the block ends, and removed where the block raises.
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f"{PREFIX}{os.getpid()}-{path.name}")
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A new folder beside a path, which becomes that path in the end.

    Args:
        path: where nothing is yet, or an empty folder; its own folder must exist.

    Yields:
        pathlib.Path of an empty folder of the same name, to fill. It is synced and
        renamed when the block ends, and removed where the block raises.
    """
    path = pathlib.Path(path)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=path.parent) as folder:
        temporary = pathlib.Path(folder) / path.name
        temporary.mkdir()
        yield temporary
        publish(temporary, path)


def publish(temporary: str | os.PathLike, path: str | os.PathLike) -> None:
    """Syncs a finished file or folder, and renames it: whole, or not at all."""
    temporary, path = pathlib.Path(temporary), pathlib.Path(path)
    inside = temporary.rglob("*") if temporary.is_dir() else ()
    for written in [*inside, temporary]:
        _sync(written)
    os.replace(temporary, path)
    _sync(path.parent)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a text file in UTF-8: whole, or not at all.

    What UTF-8 cannot hold, as of file names in another encoding, becomes an escape.
    """
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike, value: object) -> None:
    """Writes JSON: whole, or not at all."""
    write_text(path, json.dumps(value, indent=1, default=str) + "\n")


def read_json(path: str | os.PathLike, *, way_out: str) -> dict | None:
    """The object of a JSON file, or None if there is no such file.

    Args:
        path: the file.
        way_out: what to do if it is damaged, a sentence that begins in lower case.

    Returns:
        Dict, or None.

    Raises:
        ValueError: if the file is no JSON object with anything in it.
    """
    path = pathlib.Path(path)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged ({error}): {way_out}.") from error
    if not isinstance(found, dict) or not found:
        raise ValueError(
            f"{path} is damaged (it holds {str(found)[:40]!r}, expected a JSON object "
            f"with content): {way_out}."
        )
    return found


def copy(source: str | os.PathLike, target: str | os.PathLike) -> None:
    """Copies a file: whole, or not at all."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)


def digest(path: str | os.PathLike) -> str:
    """SHA-256 of what a file holds, by which it is recognized later.

    Of a zip, such as a `.keras` file, these are the names and contents of its members:
    a card in its comment changes nothing.

    Raises:
        ValueError: if the file is a damaged zip, or one that inflates to too much.
    """
    path, found = pathlib.Path(path), hashlib.sha256()
    if path.suffix == ".keras":
        check_archive(path)
        try:
            with zipfile.ZipFile(path) as archive:
                for member in archive.infolist():
                    found.update(f"{member.filename}\0{member.file_size}\0".encode())
                    with archive.open(member) as file:
                        # A zip's files are buffered readers, which its hints hide.
                        hashlib.file_digest(file, lambda: found)  # type: ignore[arg-type]
        except ARCHIVE_ERRORS as error:
            raise _damaged(path, error) from error
    else:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: found)
    return found.hexdigest()


def is_archive(path: str | os.PathLike) -> bool:
    """Whether the list of files of a zip can be read.

    `zipfile.is_zipfile` looks at the last bytes only, which a damaged file may have.

    Raises:
        OSError: if the file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file):
                return True
        except (*ARCHIVE_ERRORS, OSError):
            return False


def check_archive(path: str | os.PathLike) -> None:
    """Refuses a `.keras` file by what its zip declares, before anything is inflated.

    Args:
        path: `.keras` file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no zip, has not the parts of a Keras model, or inflates to
            over 100 times its size.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: expected a .keras file.")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except ARCHIVE_ERRORS as error:
        raise _damaged(path, error) from error
    names = {member.filename for member in members}
    if "config.json" not in names:
        raise _damaged(path, "there is no config.json in it")
    inflated = sum(member.file_size for member in members)
    if inflated > max(_ALWAYS_FINE, _MOST_INFLATED * path.stat().st_size):
        raise ValueError(
            f"{path} has {path.stat().st_size / 1e6:.1f} MB and inflates to "
            f"{inflated / 1e6:.0f} MB, which no saved network does: it was not opened. "
            "Do not trust this file."
        )


def _damaged(path, reason):
    return ValueError(
        f"{path} is no .keras file, or a damaged one ({reason}): expected a model "
        "written by model.save('NAME.keras'); delete it, or copy it anew."
    )


def _sync(path):
    """Flushes a file or the entries of a folder to the disk, where that is possible."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        # Folders cannot be opened on every system.
        return
    try:
        os.fsync(handle)
    except OSError:
        # Some network file systems have no sync; the rename is still whole.
        pass
    finally:
        os.close(handle)
