"""Downloads a file: resumes it, watches its pace, shows its progress."""

import http.client
import pathlib
import re
import sys
import time
import urllib.error
import urllib.request

from igam_tf.checkpoints.archives import MAX_BYTES
from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.checkpoints.published import Download

_CHUNK_BYTES = 256 * 1024
# Bytes a second below which a connection counts as cut.
_SLOWEST = 1000


class Gone(ConnectionError):
    """The address does not give the file; trying again will not help."""


def download_to(
    part: pathlib.Path, download: Download, *, retries: int, timeout: float
) -> None:
    """Downloads to a file, resuming where an earlier download stopped.

    Args:
        part: the file, which need not exist.
        download: where from.
        retries: how often a broken connection is resumed.
        timeout: seconds without a byte, or with less than 1 kB a second, after which a
            connection counts as cut.

    Raises:
        ConnectionError: if the address does not give the file, or the connection was
            cut more than `retries` times.
        CheckpointError: if it sends more than any checkpoint has.
    """
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
            raise gone(download, f"it answers {error.code} {error.reason}") from error
        except Gone:
            raise
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        if attempt < retries:
            print(f"  {reason}; trying again", file=sys.stderr, flush=True)
            time.sleep(min(2.0**attempt, 8.0) * min(timeout, 1.0))
    raise gone(download, f"{reason} ({retries + 1} times)")


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
        raise gone(download, "it answers with a web page in place of the zip")


def gone(download: Download, reason: str) -> Gone:
    """The error that says what to do about a download that does not work."""
    return Gone(
        f"{download.url}: {reason}. If the address is gone, look for the checkpoint at "
        f"{download.source} (fetch_model.py), download it by hand, and pass the zip: "
        "every command that takes a checkpoint takes the zip itself."
    )
