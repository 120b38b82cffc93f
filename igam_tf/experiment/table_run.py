"""Runs a table: its experiments in turn, in one folder, and their rows together.

Each experiment has a folder inside the table's. What another experiment has finished
with the same settings, in this table or in one beside it, is linked and not trained
again: teachers, finetuned teachers, plain and adversarial students.
"""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING, Any

import keras

from igam_tf import distribution
from igam_tf.experiment import controls, reading, results, runner, starts
from igam_tf.experiment.folder import Folder, default_path
from igam_tf.experiment.sharing import share_finished
from igam_tf.reports.transfer import transfer

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.table import Row, Table

#: What the results say of networks from files.
_OF_FILES = ("teacher", "student_network", "student_weights")


def run_table(table: Table) -> dict[str, Any]:
    """Runs a table of the paper.

    Args:
        table: `igam_tf.experiment.table.Table`.

    Returns:
        The contents of `results.json`, and the run folder under "run_dir".

    Raises:
        ValueError, OSError: as `igam_tf.experiment.run`; data that is missing is found
            before anything is trained.
    """
    if "TF_CONFIG" in os.environ:
        raise ValueError(
            "A table runs on one machine: unset TF_CONFIG, or run its recipes one by "
            "one."
        )
    folder = Folder(table.run_dir or f"runs/{table.name}-{table.size}")
    runs = [
        (experiment.replace(run_dir=str(folder.path / name)), rows)
        for experiment, rows in table.runs()
        for name in [default_path(experiment).name]
    ]
    with folder.in_use():
        target = _read_all(runs)
        found: list[tuple[Experiment, tuple[Row, ...], dict[str, Any]]] = []
        for experiment, rows in runs:
            # What a row may start from, see `starts`.
            starts.write(folder.path, _students(folder, found))
            share_finished(experiment)
            changes = dict.fromkeys(change for row in rows for change in row.changes)
            done = runner.run(experiment, changes=tuple(changes))
            found.append((experiment, rows, done))
            keras.utils.clear_session(free_memory=True)
        together = _together(table, folder, found)
        results.write(together, folder)
        results.report(together, folder, target, distribution.strategy("one"))
    return {**together, "run_dir": str(folder.path)}


def _students(folder, found):
    """Name of a finished row -> its student's file below the folder."""
    return {
        row.name: f"{_inside(folder, experiment)}/{row.method}/student.keras"
        for experiment, rows, _ in found
        for row in rows
    }


def _inside(folder, experiment):
    return pathlib.Path(experiment.run.run_dir).relative_to(folder.path)


def _read_all(runs):
    """Looks for the data of all rows; the target task is returned."""
    for experiment, _ in runs:
        settings = experiment.data
        if settings.source:
            reading.read_source(experiment, train_examples=1, test_examples=1)
        target = reading.read_target(experiment, train_examples=1)
    return target


def _together(table, folder, found):
    """`results.json` of the table, from those of its runs."""
    rows, paper, teachers = {}, {}, {}
    for experiment, own_rows, done in found:
        inside = _inside(folder, experiment)
        for stage, seconds in done["teacher_seconds"].items():
            teachers[f"{experiment.source_name} {stage}, {inside.name[-8:]}"] = seconds
        for row in own_rows:
            paper[row.name] = row.paper
            for name, inner in _own_and_controls(row).items():
                rows[name] = {
                    **done["rows"][inner],
                    "label": controls.label(row.label, controls.split(inner)[1]),
                    "student": f"{inside}/{inner}/student.keras",
                    "settings": done["settings"],
                    **{key: done[key] for key in _OF_FILES if key in done},
                }
                if name != row.name:
                    rows[name]["control_of"] = row.name
    common = _common([row["settings"] for row in rows.values()])
    for row in rows.values():
        own = row["settings"].items()
        row["settings"] = {name: value for name, value in own if name not in common}
    last = found[-1][-1]
    together = {
        "title": table.title
        + (f" (size {table.size})" if table.size != "paper" else ""),
        "rows": {
            name: rows[name] for row in table.rows for name in _own_and_controls(row)
        },
        "paper": {name: numbers for name, numbers in paper.items() if numbers},
        "size": table.size,
        "settings": common,
        "teacher_seconds": teachers,
        "train_examples": last["train_examples"],
        **{name: last[name] for name in ("versions", "machine", "git_revision")},
        # All rows have one target; their sources may differ.
        "data": {k: v for k, v in last.get("data", {}).items() if k == "target"},
    }
    return {**together, "transfer": transfer(together)}


def _own_and_controls(row):
    """Key in the table -> row in its run, of a row and of its controls."""
    own, *others = controls.rows_of(row.method, row.experiment.table.controls)
    return {
        row.name: own,
        **{controls.stage(row.name, controls.split(c)[1]): c for c in others},
    }


def _common(settings):
    """Settings that all runs share; what names one run folder is not among them."""
    first, *others = settings
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in others)
    }
