"""Fetches the published checkpoints: downloads, verifies and unpacks them."""

import hashlib
import os
import pathlib
import zipfile

from igam_tf.checkpoints.archives import MAX_BYTES, NoRoomError, unpack
from igam_tf.checkpoints.download import download_to, gone
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.published import BY_HAND, DOWNLOADS, Download, instructions
from igam_tf.checkpoints.tf1.locate import index_files
from igam_tf.files import replacing_folder


def fetch(
    name: str,
    folder: str | os.PathLike = "models",
    *,
    retries: int = 3,
    timeout: float = 30.0,
    downloads: dict[str, Download] | None = None,
) -> pathlib.Path:
    """Downloads a published checkpoint and unpacks it.

    An interrupted download is kept beside the target as `<name>.zip.part` and resumed
    by the next call; so is a whole one whose unpacking was interrupted, or for which
    the disk had no room.

    Args:
        name: key of `DOWNLOADS`, or of `BY_HAND`, for which it only says what to do.
        folder: where `<folder>/<name>/` is made.
        retries: how often a broken connection is resumed.
        timeout: seconds without a byte, or with less than 1 kB a second, after which a
            connection counts as cut.
        downloads: dict like `DOWNLOADS`, for mirrors.

    Returns:
        pathlib.Path: the folder with the checkpoint, for `load`.

    Raises:
        ValueError: if the name is unknown, or the checkpoint is downloaded by hand
            (the IGAM authors'): the message says what from where.
        FileExistsError: if the target folder is there already and is not empty.
        ConnectionError: if the address does not answer, or the connection was cut more
            than `retries` times.
        CheckpointError: if what came is no zip, or holds no checkpoint, or its sha256
            is not the published one (the file is removed then), or the zip is unsafe.
    """
    downloads = DOWNLOADS if downloads is None else downloads
    if name in BY_HAND:
        raise ValueError(instructions(name, folder))
    if name not in downloads:
        raise ValueError(
            f"unknown checkpoint {name!r}: expected one of {[*downloads, *BY_HAND]}."
        )
    download = downloads[name]
    folder = pathlib.Path(folder).expanduser()
    target = folder / name
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise FileExistsError(
            f"{target} exists already: load it, or remove it to fetch it again."
        )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{name}.zip.part"
    download_to(part, download, retries=retries, timeout=timeout)
    _verify(part, download)
    try:
        inside = _unpack_to(part, target)
    except NoRoomError:
        raise
    except CheckpointError:
        part.unlink()  # A zip that does not unpack must not be taken up again.
        raise
    part.unlink()
    return target / inside


def _unpack_to(archive, target):
    """Unpacks to a folder that appears whole; returns where in it the checkpoint is."""
    with replacing_folder(target) as unpacked:
        files = unpack(archive, unpacked)
        found = index_files(unpacked, "**/*.index")
        inside = {path.relative_to(unpacked).parent for path in found}
        if not inside:
            raise CheckpointError(
                f"the zip that came holds no checkpoint (no .index file among its "
                f"{len(files)} files): nothing was kept. Look for the right one at its "
                "source, and pass the zip."
            )
    return inside.pop() if len(inside) == 1 else "."


def _verify(part, download):
    """Prints the sha256, and refuses a file that is not what was published."""
    if not zipfile.is_zipfile(part):
        with open(part, "rb") as file:
            start = file.read(200).lstrip().lower()
        size = part.stat().st_size
        part.unlink()
        page = start.startswith((b"<!doctype", b"<html"))
        what = "a web page" if page else f"no zip ({size} bytes)"
        raise gone(download, f"what came is {what}, and was removed")
    digest = _sha256(open(part, "rb"))
    print(f"sha256 {digest}", flush=True)
    if download.sha256 is None:
        print("  (its authors published none to compare with)", flush=True)
    elif digest != download.sha256 and not _holds(part, download.sha256):
        part.unlink()
        raise CheckpointError(
            f"{download.url}: sha256 {digest}, and its authors published "
            f"{download.sha256}. The file was removed; do not use it."
        )


def _holds(archive, digest):
    """Whether a file of the zip has that sha256: the authors say "our model file"."""
    try:
        with zipfile.ZipFile(archive) as zip_file:
            return any(
                _sha256(zip_file.open(member)) == digest
                for member in zip_file.infolist()
                if not member.is_dir() and member.file_size <= MAX_BYTES
            )
    except (zipfile.BadZipFile, RuntimeError, EOFError):
        return False


def _sha256(file):
    with file:
        return hashlib.file_digest(file, "sha256").hexdigest()
