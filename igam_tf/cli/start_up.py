"""TensorFlow's start-up without its messages, unless it fails.

TensorFlow writes what it finds out about processor, drivers and plug-ins to the screen,
some of it in the form of errors that are none. It does so from compiled code, past
`sys.stderr`.
"""

import contextlib
import importlib.abc
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_WELL, _BADLY = b"\0started\0", b"\0failed\0"
#: Keeps what it reads, and shows it unless all went well.
_KEEPER = f"""
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
text = b""
while not {_WELL!r} in text and not {_BADLY!r} in text:
    part = os.read(0, 65536)
    if not part:
        break
    text += part
if not {_WELL!r} in text:
    os.write(2, text.replace({_BADLY!r}, b""))
"""


def hold_back_messages(level: str = "2") -> None:
    """Holds back what is written to stderr while TensorFlow is imported.

    It takes effect when TensorFlow is imported, however late and by whom; nothing is
    imported here. If the import fails, or ends the process, everything is shown.
    `TF_CPP_MIN_LOG_LEVEL=0` (or 1) in the environment asks for all messages, and
    nothing is held back. For commands only: a program of one's own keeps its stderr.

    Args:
        level: what TensorFlow says later, for `TF_CPP_MIN_LOG_LEVEL`: "2" for errors,
            "3" for nothing. What is in the environment wins.
    """
    is_waiting = any(isinstance(finder, _Finder) for finder in sys.meta_path)
    if os.environ.setdefault(_LEVEL, level) in ("0", "1") or is_waiting:
        return
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Within it stderr is kept, and shown if the block raises or the process ends.

    At the level of the file descriptor, and by another process: compiled code may
    abort, where no handler of Python runs.
    """
    try:
        stderr = os.dup(2)
        keeper = _start_keeper()
    except OSError:
        # No stderr, or no further process: nothing can be kept, and all is shown.
        yield
        return
    word = _BADLY
    try:
        yield
        word = _WELL
    finally:
        if sys.stderr is not None:
            sys.stderr.flush()
        # A word, and not the end of the pipe: a process started meanwhile may have it.
        os.write(2, word)
        os.dup2(stderr, 2)
        os.close(stderr)
        keeper.wait()


def _start_keeper():
    """The process that reads what is written to stderr from now on."""
    if sys.stderr is not None:
        sys.stderr.flush()
    reader, writer = os.pipe()
    try:
        # -S, -E: it needs nothing but the standard library.
        command = [sys.executable, "-S", "-E", "-c", _KEEPER]
        keeper = subprocess.Popen(command, stdin=reader, stdout=subprocess.DEVNULL)
        os.dup2(writer, 2)
    finally:
        os.close(reader)
        os.close(writer)
    return keeper


class _Finder(importlib.abc.MetaPathFinder):
    """Finds TensorFlow, with a loader that holds back its messages."""

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Quiet(spec.loader)
        return spec


class _Quiet(importlib.abc.Loader):
    """Loads TensorFlow by its own loader, which then takes this one's place."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _Finder)]
        with held_back():
            self._loader.exec_module(module)
            # It looks for GPUs, and complains of drivers, when it is first asked.
            module.config.list_physical_devices()
