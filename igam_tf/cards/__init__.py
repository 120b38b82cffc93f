"""Model cards: what a student is, what was measured of it, how to load and attack it.

    model, card = igam_tf.load("student.keras")

The card travels inside the `.keras` file; beside it stands `student.card.md`, the same
for people.
"""

import importlib

_NAMES = {
    "attach_card": "archive",
    "format_card": "text",
    "load": "loading",
    "make_card": "contents",
    "read_card": "archive",
    "write_card": "loading",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
