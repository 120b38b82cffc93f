"""Model cards: what a student is, what was measured, how to load and attack it.

    model, card = igam_tf.load("student.keras")

The card travels inside the `.keras` file; beside it stands `student.card.md`, the same
for people.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "attach_card": "archive",
        "format_card": "text",
        "load": "loading",
        "make_card": "contents",
        "read_card": "archive",
        "share": "sharing",
        "write_card": "loading",
    },
)
