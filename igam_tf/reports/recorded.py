"""Checks the form of recorded results before anything is made of them."""

import os
from collections.abc import Sequence

#: What an evaluation is told by, beside what its attacks found.
OF_AN_EVALUATION = (
    "threat_model",
    "eps",
    "step_size",
    "batch_norm",
    "seed",
    "num_examples",
)
_OF_AN_ATTACK = ("accuracy", "interval_95")


def check(
    results: dict, path: str | os.PathLike, needed: Sequence[str], made_by: str
) -> None:
    """Refuses results that a report, or a card, cannot be made of.

    Args:
        results: dict that was read.
        path: of the file, for the message.
        needed: keys that must have contents, such as "title" and "rows"; of
            "settings" these are the two tasks.
        made_by: what writes such results, for the message.

    Raises:
        ValueError: says what is missing, and where.
    """
    expected = f"expected the results of {made_by}"
    missing = [key for key in needed if not results.get(key)]
    if missing:
        raise ValueError(f"{path} has no {', '.join(missing)}: {expected}.")
    if "settings" in needed and not _has(results["settings"], ("target",)):
        raise ValueError(f"{path}: its settings name no target: {expected}.")
    rows = results["rows"]
    if not isinstance(rows, dict):
        raise ValueError(f"{path}: its rows are {type(rows).__name__}: {expected}.")
    for name, row in rows.items():
        missing = _missing(row)
        if missing:
            raise ValueError(f"{path}: the row {name!r} has no {missing}: {expected}.")


def _missing(row):
    """The first thing that is missing in a row; "" if it is whole."""
    if not _has(row, ("label", "evaluation")):
        return "label and evaluation"
    evaluation = row["evaluation"]
    if not _has(evaluation, ("attacks",)) or not evaluation["attacks"]:
        return "attacks in its evaluation"
    if not _has(evaluation, OF_AN_EVALUATION):
        return f"{', '.join(OF_AN_EVALUATION)} in its evaluation"
    for name, entry in dict(evaluation["attacks"]).items():
        if not _has(entry, _OF_AN_ATTACK):
            return f"{' and '.join(_OF_AN_ATTACK)} of the attack {name!r}"
    return ""


def _has(value, keys):
    return isinstance(value, dict) and all(key in value for key in keys)
