"""A table of the paper: rows that may come from several experiments."""

import dataclasses
import re

from igam_tf.experiment import networks
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.folder import default_path
from igam_tf.experiment.starts import FROM_ROW
from igam_tf.training.methods import METHODS


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: one method of one experiment.

    Args:
        label: its name in the table.
        experiment: `Experiment` with one method.
        changes: texts about where it differs from its recipe.
        paper: the published percents by attack, and means by statistic; empty if
            there are none.
    """

    label: str
    experiment: Experiment
    changes: tuple[str, ...] = ()
    paper: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def method(self) -> str:
        return self.experiment.methods[0]

    @property
    def start(self) -> str:
        """Name of the earlier row whose student this one starts from, or ""."""
        given = self.experiment.student.checkpoint
        return given.removeprefix(FROM_ROW) if given.startswith(FROM_ROW) else ""

    @property
    def name(self) -> str:
        """The label as a key of `results.json`: "IGAM, Pad" is "igam-pad"."""
        return re.sub(r"[^a-z0-9.]+", "-", self.label.lower()).strip("-")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of one target task.

    Args:
        name: such as "table1", for its run folder.
        title: text above the table.
        rows: tuple of `Row`, in order.
        size: "paper", "medium", "small" or "tiny".
        run_dir: run folder; runs/NAME-SIZE if empty.

    Raises:
        ValueError: if a row has several methods, two rows are the same, they have
            different target tasks, or one starts from a row that is not before it; if
            rows would share a run folder and undo each other's evaluation there.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    size: str = "paper"
    run_dir: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.experiment.methods) != 1:
                raise ValueError(
                    f"{self.name}: the row {row.label!r} has the methods "
                    f"{row.experiment.methods}; each row of a table names one, so "
                    "leave --methods out."
                )
        targets = {row.experiment.data.target for row in self.rows}
        if len(targets) != 1:
            raise ValueError(
                f"{self.name}: rows of the targets {sorted(targets)}; expected one."
            )
        held_out = {row.experiment.data.held_out_fraction for row in self.rows}
        if len(held_out) != 1:
            raise ValueError(
                f"{self.name}: rows of --held_out_fraction {sorted(held_out)}, which "
                "are evaluated on different images; expected one for all rows."
            )
        self._check_folders()
        names = [row.name for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: rows of the same label among {names}.")
        for number, row in enumerate(self.rows):
            if row.start and row.start not in names[:number]:
                raise ValueError(
                    f"{self.name}: the row {row.label!r} starts from "
                    f"{FROM_ROW}{row.start}; expected an earlier row, one of "
                    f"{names[:number]}."
                )
            if row.start:
                self._check_start(row, self.rows[names.index(row.start)])

    def _check_start(self, row, start):
        """Refused before the first row is trained, and not after it."""
        of_row, of_start = (
            r.experiment.settings_of(r.method).student_normalization
            for r in (row, start)
        )
        if of_row == of_start:
            return
        # Others have no normalisation inside, or one of their own.
        if row.experiment.network("student") in networks.NORMALIZING:
            raise ValueError(
                f"{self.name}: the row {row.label!r} starts from {start.label!r}, "
                f"whose student has the normalisation {of_start} inside of it, and "
                f"those of --methods={row.method} have {of_row}: it would start at "
                "chance; expected a row of the same."
            )

    def _check_folders(self):
        """All rows of a run folder are evaluated with the settings of its last run."""
        folders: dict[str, tuple[Experiment, tuple[Row, ...]]] = {}
        for experiment, rows in self.runs():
            name = default_path(experiment).name
            other, others = folders.setdefault(name, (experiment, rows))
            now, before = (e.evaluation.flags() for e in (experiment, other))
            if apart := [f"--{flag}" for flag in now if now[flag] != before[flag]]:
                raise ValueError(
                    f"{self.name}: the rows {others[0].label!r} and {rows[0].label!r} "
                    f"are trained with the same settings and differ in "
                    f"{', '.join(apart)}: in their one run folder each would undo the "
                    "evaluation of the other; give both rows the same."
                )

    def runs(self) -> list[tuple[Experiment, tuple[Row, ...]]]:
        """The experiments to run: rows that differ in their method only are one.

        Returns:
            List of tuples (experiment, rows).
        """
        groups: dict[Experiment, list[Row]] = {}
        for row in self.rows:
            alone = row.experiment.replace(methods=tuple(METHODS)[:1])
            groups.setdefault(alone, []).append(row)
        return [
            (
                alone.replace(methods=tuple(dict.fromkeys(row.method for row in rows))),
                tuple(rows),
            )
            for alone, rows in groups.items()
        ]
