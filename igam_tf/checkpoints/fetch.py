"""Downloading the published checkpoints: resumed, verified, unpacked safely."""

import hashlib
import http.client
import pathlib
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from typing import NamedTuple

from igam_tf.checkpoints.archives import MAX_BYTES, unpack
from igam_tf.checkpoints.by_hand import BY_HAND, instructions
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.files import publish

_CHUNK_BYTES = 256 * 1024
# Bytes a second below which a connection counts as cut.
_SLOWEST = 1000


class _Gone(ConnectionError):
    """The address does not give the file; trying again will not help."""


class Download(NamedTuple):
    """Where a checkpoint is published; `sha256` is None where its authors give none."""

    url: str
    sha256: str | None
    source: str


_CIFAR10 = "https://github.com/MadryLab/cifar10_challenge"
_MNIST = "https://github.com/MadryLab/mnist_challenge"
DOWNLOADS = {
    "cifar10_natural": Download(
        "https://www.dropbox.com/s/cgzd5odqoojvxzk/natural.zip?dl=1", None, _CIFAR10
    ),
    "cifar10_adv_trained": Download(
        "https://www.dropbox.com/s/g4b6ntrp8zrudbz/adv_trained.zip?dl=1", None, _CIFAR10
    ),
    "cifar10_secret": Download(
        "https://www.dropbox.com/s/ywc0hg8lr5ba8zd/secret.zip?dl=1",
        "555be6e892372599380c9da5d5f9802f9cbd098be8a47d24d96937a002305fd4",
        _CIFAR10,
    ),
    "mnist_natural": Download(
        f"{_MNIST}_models/raw/master/natural.zip", None, _MNIST
    ),
    "mnist_adv_trained": Download(
        f"{_MNIST}_models/raw/master/adv_trained.zip", None, _MNIST
    ),
    "mnist_secret": Download(
        f"{_MNIST}_models/raw/master/secret.zip",
        "14eea09c72092db5c2eb5e34cd105974f42569281d2f34826316e356d057f96d",
        _MNIST,
    ),
    "mnist_l2": Download(f"{_MNIST}_models/raw/master/l2_model.zip", None, _MNIST),
}


def fetch(name, folder="models", *, retries=3, timeout=30.0, downloads=None):
    """Downloads a published checkpoint and unpacks it.

    An interrupted download is kept beside the target as `<name>.zip.part` and resumed
    by the next call.

    Args:
        name: key of `DOWNLOADS`, or of `by_hand.BY_HAND`, which only says what to do.
        folder: where `<folder>/<name>/` is made.
        retries: how often a cut connection is taken up again.
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
        CheckpointError: if what came is no zip or holds no checkpoint, or its sha256 is not the published one
            (the file is removed then), or the zip is unsafe.
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
    _download(download, part, retries, timeout)
    _verify(part, download)
    try:
        inside = _unpack_to(part, target)
    finally:
        part.unlink()  # A zip that does not unpack must not be taken up again.
    return target / inside


def _unpack_to(archive, target):
    """Unpacks to a folder that appears whole; where inside of it the checkpoint is."""
    with tempfile.TemporaryDirectory(prefix=".unpacking_", dir=target.parent) as folder:
        unpacked = pathlib.Path(folder) / target.name
        unpacked.mkdir()
        files = unpack(archive, unpacked)
        inside = {f.relative_to(unpacked).parent for f in files if f.suffix == ".index"}
        if not inside:
            raise CheckpointError(
                f"the zip that came holds no checkpoint (no .index file among its "
                f"{len(files)} files): nothing was kept. Look for the right one at its "
                "source, and pass the zip."
            )
        publish(unpacked, target)
    return inside.pop() if len(inside) == 1 else "."


def _download(download, part, retries, timeout):
    """Downloads to `part`, taking up what is already there."""
    for attempt in range(retries + 1):
        try:
            if _download_once(download, part, timeout):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            if error.code == 416 and part.exists():
                # Nothing is left to send, or the file there is another one: the
                # checksum and the unpacking tell.
                return
            raise _gone(download, f"it answers {error.code} {error.reason}") from error
        except _Gone:
            raise
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        if attempt < retries:
            print(f"  {reason}; trying again", file=sys.stderr, flush=True)
            time.sleep(min(2.0**attempt, 8.0) * min(timeout, 1.0))
    raise _gone(download, f"{reason} ({retries + 1} times)")


def _download_once(download, part, timeout):
    """One connection; True if all of the file has come."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(
        download.url, headers={"User-Agent": "igam_tf", "Accept-Encoding": "identity"}
    )
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=timeout) as response:
        _refuse_html(response, download)
        total = _total_bytes(response)
        # A server without ranges answers 200 and starts again.
        resumed = start and response.status == 206 and _starts_at(response, start)
        position = start if resumed else 0
        if (total or 0) > MAX_BYTES:
            raise CheckpointError(f"{download.url} sends {total} bytes: refused.")
        with (
            open(part, "ab" if resumed else "wb") as file,
            _ProgressBar(part.name.removesuffix(".part"), total) as bar,
        ):
            pace = _Pace(timeout)
            while chunk := response.read1(_CHUNK_BYTES):
                file.write(chunk)
                position += len(chunk)
                pace.check(len(chunk))
                if position > MAX_BYTES:
                    raise CheckpointError(f"{download.url} does not end: refused.")
                bar.update(position)
    return total is None or position >= total


class _Pace:
    """Notices a server that sends a byte now and then, and would never end."""

    def __init__(self, seconds):
        self._seconds = seconds
        self._start, self._received = time.monotonic(), 0

    def check(self, received):
        """Takes note of bytes; raises TimeoutError if there were too few of late."""
        self._received += received
        passed = time.monotonic() - self._start
        if passed < self._seconds:
            return
        if self._received < _SLOWEST * passed:
            raise TimeoutError(
                f"only {self._received} bytes came in {passed:.0f} seconds"
            )
        self._start, self._received = time.monotonic(), 0


class _ProgressBar:
    """One line on stderr, rewritten on a terminal; elsewhere a line each 10 %."""

    def __init__(self, name, total):
        self._name, self._total = name, total
        self._rewrite = sys.stderr.isatty()
        self._shown = None

    def __enter__(self):
        return self

    def update(self, position):
        if self._total:
            percent = 100 * position // self._total
            step = percent if self._rewrite else percent // 10
            text = f"{self._name} {percent:3d} % of {self._total / 1e6:.1f} MB"
        else:
            step = position // 10_000_000
            text = f"{self._name} {position / 1e6:.1f} MB"
        if step != self._shown:
            end = "" if self._rewrite else "\n"
            print(("\r" if self._rewrite else "") + text, end=end, file=sys.stderr)
            sys.stderr.flush()
            self._shown = step

    def __exit__(self, *exception):
        if self._rewrite:
            print(file=sys.stderr)


def _total_bytes(response):
    """Size of the whole file as the server says it, or None."""
    content_range = re.match(
        r"bytes \d+-\d+/(\d+)", response.headers.get("Content-Range", "")
    )
    if content_range:
        return int(content_range.group(1))
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _starts_at(response, start):
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _refuse_html(response, download):
    if response.headers.get_content_type() == "text/html":
        raise _gone(download, "it answers with a web page in place of the zip")


def _verify(part, download):
    """Prints the sha256, and refuses a file that is not what was published."""
    if not zipfile.is_zipfile(part):
        with open(part, "rb") as file:
            start = file.read(200).lstrip().lower()
        size = part.stat().st_size
        part.unlink()
        page = start.startswith((b"<!doctype", b"<html"))
        what = "a web page" if page else f"no zip ({size} bytes)"
        raise _gone(download, f"what came is {what}, and was removed")
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
    digest = hashlib.sha256()
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _gone(download, reason):
    return _Gone(
        f"{download.url}: {reason}. If the address is gone, look for the checkpoint at "
        f"{download.source} (fetch_model.py), download it by hand, and pass the zip: "
        "every command that takes a checkpoint takes the zip itself."
    )
