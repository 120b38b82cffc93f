"""One process at a time in a folder, without help of the operating system's locks.

A lock is a file that only one process can create. It says who holds it; the lock of a
process that is gone is taken over. A thread touches the file, which tells a living
owner on another machine from one that was killed. Nothing here imports TensorFlow.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

NAME = "in-use.json"
#: Seconds between two touches of a lock, and without one until it counts as left
#: behind.
TOUCHED_EVERY, STALE_AFTER = 20.0, 300.0
_HELD: dict[pathlib.Path, dict] = {}
_OF_HELD = threading.Lock()


class FolderInUseError(ValueError):
    """Another process works in the folder; the message says which, and the way out."""


@contextlib.contextmanager
def held(folder: str | os.PathLike, *, flag: str) -> Iterator[None]:
    """Holds the lock of a folder for the time of a block.

    Args:
        folder: an existing folder, on a local disk or a network file system.
        flag: what names the folder, for the error, such as "--run_dir".

    Raises:
        FolderInUseError: if another process, or another thread of this one, holds it.
    """
    path = pathlib.Path(folder).resolve() / NAME
    owner = {**_myself(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    # Before the file: it would tell another thread of this process, and so be stale.
    with _OF_HELD:
        if path in _HELD:
            raise FolderInUseError(_refusal(path, _HELD[path], flag))
        _HELD[path] = owner
    try:
        _take(path, owner, flag)
    except BaseException:
        del _HELD[path]
        raise
    released = threading.Event()
    threading.Thread(target=_touch, args=(path, released), daemon=True).start()
    try:
        yield
    finally:
        released.set()
        del _HELD[path]
        if _same(_read(path), owner):
            path.unlink(missing_ok=True)


def _take(path, owner, flag):
    for _ in range(20):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            pass
        else:
            with os.fdopen(handle, "w") as file:
                json.dump(owner, file)
            return
        seen, found = _identity(path), _read(path)
        if found is not None and not _is_stale(path, found):
            raise FolderInUseError(_refusal(path, found, flag))
        if seen is not None:
            _remove_stale(path, seen)
    raise FolderInUseError(_refusal(path, _read(path) or {}, flag))


def _remove_stale(path, seen):
    """Removes a stale lock, and never the one that another process has taken since.

    Of all who saw it, the one that gives it a second name may remove the first: where
    it is a later lock that gets the name, nothing is removed.
    """
    claim = path.with_name(f"{path.name}.{seen[0]:x}-{seen[1]:x}")
    try:
        os.link(path, claim)
    except (FileNotFoundError, FileExistsError):
        # Gone, or about to be.
        time.sleep(0.01)
        return
    except OSError:
        # A file system without second names: two processes at one moment may meet.
        if _identity(path) == seen:
            path.unlink(missing_ok=True)
        return
    try:
        if _identity(claim) == seen:
            path.unlink(missing_ok=True)
    finally:
        claim.unlink(missing_ok=True)


def _identity(path):
    """What tells a lock from a later one, and stays while nobody touches it."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def _is_stale(path, owner):
    """Whether the owner of a lock is gone."""
    mine = _myself()
    if owner.get("host") == mine["host"]:
        try:
            pid = int(owner["pid"])
        except (KeyError, TypeError, ValueError):
            return _age(path) > STALE_AFTER
        # A process that was replaced (os.execv) keeps its id and its start.
        if pid == mine["pid"] or not _is_alive(pid):
            return True
        return owner.get("started") != _started(pid)
    return _age(path) > STALE_AFTER


def _age(path):
    """Seconds since a lock was touched, by the clock of its own file system."""
    probe = path.with_name(f"{path.name}.{os.getpid()}.clock")
    try:
        probe.write_text("")
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def _touch(path, released):
    while not released.wait(TOUCHED_EVERY):
        with contextlib.suppress(OSError):
            os.utime(path)


def _read(path):
    """Owner that a lock names; {} if it does not say, None if there is no lock."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _same(one, other):
    return one is not None and one == other


def _myself():
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "started": _started(pid)}


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _started(pid):
    """What tells a process from an earlier one of its id; None where nothing does."""
    try:
        after_name = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {after_name.split()[19]}"
    except (OSError, IndexError):
        pass
    try:
        told = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return None
    return told.stdout.strip() or None


def _refusal(path, owner, flag):
    who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
    return (
        f"{flag}: {path.parent} is in use by {who} since {owner.get('since', '?')}: "
        f"wait for it, or choose another folder. If that process is gone, delete "
        f"{path}."
    )
