"""Errors that callers tell apart, and what errors say; needs no TensorFlow."""

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What Keras puts before the error of a layer.
_AROUND = "Exception encountered when calling"


def reason(error: BaseException, longest: int = 200) -> str:
    """The first line of an error that says what is wrong, for errors of one sentence.

    Args:
        error: whatever a package raised.
        longest: number of characters.
    """
    lines = [_COLOURS.sub("", line).strip() for line in str(error).splitlines()]
    said = [line for line in lines if line]
    about = [line for line in said if not line.startswith(_AROUND)]
    return (about or said or [""])[0][:longest]


class WorkerLostError(RuntimeError):
    """Another worker of a multi-worker training went away."""
