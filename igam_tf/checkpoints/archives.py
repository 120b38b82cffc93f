"""Unpacks downloaded zips safely: nothing may land outside the target folder."""

import errno
import os
import pathlib
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable

from igam_tf.checkpoints.errors import CheckpointError

MAX_BYTES = 4 * 1024**3
_MAX_MEMBERS = 10_000
_CHUNK_BYTES = 1024 * 1024


class NoRoomError(CheckpointError):
    """A zip does not fit on the disk, which is no fault of the zip."""


def unpack(
    archive: str | os.PathLike,
    folder: str | os.PathLike,
    *,
    wanted: Callable[[str], bool] | None = None,
    max_bytes: int = MAX_BYTES,
) -> list[pathlib.Path]:
    """Unpacks the plain files of a zip.

    Args:
        archive: path of the zip.
        folder: where its files go; it must exist.
        wanted: predicate on member names, or None for all.
        max_bytes: refuse a zip that unpacks to more.

    Returns:
        list of pathlib.Path: the files written.

    Raises:
        CheckpointError: if the zip is damaged, holds a name that leads outside of the
            folder, or unpacks to more than `max_bytes`; a `NoRoomError` if it unpacks
            to more than the disk has.
    """
    folder = pathlib.Path(folder)
    try:
        with zipfile.ZipFile(archive) as zip_file:
            members = zip_file.infolist()
            if len(members) > _MAX_MEMBERS:
                raise CheckpointError(f"{archive} holds {len(members)} files: refused.")
            for member in members:
                _check_member(member, archive)
            members = [
                member
                for member in members
                if not member.is_dir() and (not wanted or wanted(member.filename))
            ]
            _check_sizes(members, archive, folder, max_bytes)
            return [_write(zip_file, member, folder) for member in members]
    except CheckpointError:
        raise
    # What zipfile raises on damaged, encrypted or unusually compressed files.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError,
            OverflowError, OSError, struct.error) as error:  # fmt: skip
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(
                f"{archive} does not fit into {folder} ({error}): make room, or choose "
                "another folder."
            ) from error
        raise CheckpointError(
            f"{archive} cannot be unpacked into {folder} ({error}). If the zip is "
            "damaged, fetch it again."
        ) from error


def _check_member(member, archive):
    """Refuses links, and names that lead outside the folder."""
    name = member.filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise CheckpointError(
            f"{archive} holds a file named {name!r}, which leads outside of the "
            "folder: nothing was unpacked. Do not trust this zip."
        )
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise CheckpointError(
            f"{archive} holds a link or device named {name!r}: nothing was unpacked. "
            "Do not trust this zip."
        )


def _check_sizes(members, archive, folder, max_bytes):
    total = sum(member.file_size for member in members)
    if total > max_bytes:
        raise CheckpointError(
            f"{archive} unpacks to {total} bytes, more than the {max_bytes} allowed."
        )
    free = shutil.disk_usage(folder).free
    if total > free:
        raise NoRoomError(
            f"{archive} unpacks to {total} bytes and {folder} has {free} free: make "
            "room, or choose another folder."
        )


def _write(zip_file, member, folder):
    target = folder.joinpath(*member.filename.replace("\\", "/").split("/"))
    target.parent.mkdir(parents=True, exist_ok=True)
    # zipfile stops at the declared size and verifies the CRC-32 at the end.
    with zip_file.open(member) as source, open(target, "wb") as output:
        shutil.copyfileobj(source, output, _CHUNK_BYTES)
    os.chmod(target, 0o644)
    return target
