"""What each training of a run wrote into its `history.csv`, as curves."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping

from igam_tf.training.callbacks import History

#: A curve: pairs of an epoch, counted from 1, and a value; what is not finite is left
#: out.
Curve = list[tuple[int, float]]

#: Panels of a training, in the order in which they are drawn.
PANELS = {
    "loss": "Loss by term",
    "accuracy": "Accuracy (%)",
    "cosine": "Cosine of the gradients",
    "time": "Seconds an epoch",
}
_NAMES = {
    "accuracy": "training",
    "test_accuracy": "test",
    "discriminator_accuracy": "discriminator",
    "gradient_cosine": "student and target",
    "loss": "total",
    "test_loss": "cross entropy, test",
}
# The norm of the parameters' gradient has a unit of its own, and no panel.
_NO_CURVE = {"epoch", "grad_norm"}


@dataclasses.dataclass(frozen=True)
class Training:
    """The history of one training.

    Attributes:
        label: its name in tables, or that of a stage, such as "teacher".
        panels: dict from a name of `PANELS` to {name of a curve: `Curve`}; a panel
            without curves is left out.
        is_main: False for controls and for what was trained before the rows.
    """

    label: str
    panels: dict[str, dict[str, Curve]]
    is_main: bool = True

    @property
    def num_epochs(self) -> int:
        """The last epoch of any curve."""
        curves = [c for panel in self.panels.values() for c in panel.values()]
        return max((epoch for curve in curves for epoch, _ in curve), default=0)


def read_histories(results: dict, folder: str | os.PathLike) -> list[Training]:
    """The histories of a run's rows, and of what was trained before them.

    Args:
        results: dict as of `results.json`.
        folder: the run folder.

    Returns:
        List of `Training`: rows in the order of the table, those that are no controls
        first. What has no `history.csv` is left out.

    Raises:
        ValueError: if a history is damaged.
    """
    folder = pathlib.Path(folder)
    rows: list[Training | None] = []
    others: list[Training | None] = []
    for name, row in results["rows"].items():
        place = pathlib.PurePath(row.get("student", f"{name}/student.keras")).parent
        found = _read(folder / place, row["label"], not row.get("control_of"))
        (rows if found and found.is_main else others).append(found)
    for stage in results.get("teacher_seconds") or {}:
        others.append(_read(folder / stage, stage, False))
    return [training for training in rows + others if training is not None]


def _read(folder, label, is_main):
    rows = History(folder / "history.csv").rows()
    panels = _panels(rows)
    return Training(label, panels, is_main) if panels else None


def _panels(rows):
    """The panels of the rows of a history, dicts of text."""
    found: dict[str, dict[str, Curve]] = {panel: {} for panel in PANELS}
    for column in _columns(rows):
        panel = _panel(column)
        factor = 100 if panel == "accuracy" else 1
        curve = [
            (int(row["epoch"]), factor * value)
            for row in rows
            for value in [_number(row.get(column))]
            if value is not None
        ]
        if curve:
            found[panel][_NAMES.get(column, column.replace("_", " "))] = curve
    return {panel: curves for panel, curves in found.items() if curves}


def _columns(rows: list[Mapping[str, str]]):
    """Names of the columns that are drawn: the sum of the losses first."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    names.sort(key=lambda name: name != "loss")
    return [name for name in names if name not in _NO_CURVE]


def _panel(column):
    if column == "seconds":
        return "time"
    for panel in ("accuracy", "cosine"):
        if column.endswith(panel):
            return panel
    return "loss"


def _number(text):
    try:
        value = float(text or "nan")
    except ValueError:
        return None
    return value if math.isfinite(value) else None
