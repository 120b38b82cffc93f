"""Ctrl-C during long calls: the first stops at a safe place, the second at once.

Python hands a signal to its handler between two of its own instructions. Inside a call
of compiled code that takes minutes it seems to be ignored, however often it comes.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator

_FIRST = "\nInterrupted: stopping at the next safe place; once more stops at once.\n"
_SECOND = "\nStopped at once; what was saved last is whole.\n"
_STATUS = 130
_waiting: list[list[int]] = []


@contextlib.contextmanager
def stopping() -> Iterator[None]:
    """Lets a second Ctrl-C end the process, whatever the first one waits for.

    Only in the main thread, where signals arrive; elsewhere nothing changes.
    """
    handled = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or handled is not signal.default_int_handler:
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(reader,), daemon=True)
    thread.start()
    signal.signal(signal.SIGINT, _on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handled)
        signal.set_wakeup_fd(before)
        writer.close()
        thread.join(1)
        reader.close()


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within it an interruption waits for `check`, so that the state can be saved.

    Raises:
        KeyboardInterrupt: at the end of the block, if one still waits.
    """
    mine: list[int] = []
    _waiting.append(mine)
    try:
        yield
    finally:
        _waiting.pop()
    if mine:
        raise KeyboardInterrupt


def check() -> bool:
    """Whether an interruption waits; the caller saves and raises KeyboardInterrupt."""
    return any(_waiting)


def _on_interrupt(signum, frame):
    if _waiting and not check():
        _waiting[-1].append(signum)
        return
    signal.default_int_handler(signum, frame)


def _watch(reader):
    """Handles each signal as it arrives, even during a call of compiled code."""
    count = 0
    while received := reader.recv(64):
        for number in received:
            count += number == signal.SIGINT
            if number != signal.SIGINT:
                continue
            _say(_FIRST if count == 1 else _SECOND)
            if count > 1:
                os._exit(_STATUS)


def _say(text):
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
