"""What the commands `python -m igam_tf.X` share: bad input ends in one sentence."""

import argparse
import os
import sys
import typing
from collections.abc import Callable
from typing import Any

from igam_tf import interrupts
from igam_tf.cli import start_up


class Parser(argparse.ArgumentParser):
    """A parser that keeps the layout of its texts and answers errors in one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def error(self, message: str) -> typing.NoReturn:
        self.exit(2, f"error: {message}\n")


def run(work: Callable[[], object], *, interrupted: str) -> int:
    """Runs a command.

    `IGAM_TF_TRACEBACK=1` in the environment shows where an error came from.

    Args:
        work: function without arguments.
        interrupted: text that says what an interruption by Ctrl-C leaves behind.

    Returns:
        int: exit status, 0 or 1.
    """
    start_up.hold_back_messages("3")
    try:
        with interrupts.stopping():
            work()
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("IGAM_TF_TRACEBACK"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"interrupted; {interrupted}", file=sys.stderr)
        return 1
    return 0
