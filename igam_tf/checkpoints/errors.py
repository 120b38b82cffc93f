"""The error that all of `igam_tf.checkpoints` raises."""

from collections.abc import Iterable


class CheckpointError(ValueError):
    """A checkpoint that is damaged, or holds another network than the one asked for.

    The message names the file, the variable where there is one, and the way out.
    """


def shortened(items: Iterable[object], limit: int = 8) -> str:
    """A readable list of at most `limit` items, and how many were left out."""
    items = list(items)
    text = ", ".join(str(item) for item in items[:limit])
    rest = len(items) - limit
    return f"{text} and {rest} more" if rest > 0 else text
