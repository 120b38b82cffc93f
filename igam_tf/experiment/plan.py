"""From an `Experiment` to the stages of its run, in order.

    for stage in plan(experiment):
        print(stage.name, stage.inputs, stage.output)

Nothing is read or built here: whatever settings alone can show to be wrong was refused
when the `Experiment` was made.
"""

from __future__ import annotations

from igam_tf.experiment import controls
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.stages import (
    Evaluation,
    Finetuning,
    Results,
    Row,
    Stage,
    Teacher,
    TeacherAccuracy,
)


def plan(
    experiment: Experiment, *, finished_rows: tuple[str, ...] = ()
) -> tuple[Stage, ...]:
    """The stages of a run: teachers, rows, evaluations, results.

    Args:
        experiment: the settings.
        finished_rows: rows that an earlier session trained in the same folder; the
            table shows them as well.

    Returns:
        Tuple of stages. Each comes after those whose names it has as `inputs`.
    """
    found: dict[str, Stage] = {}

    def add(*stages: Stage) -> None:
        for stage in stages:
            found.setdefault(stage.name, stage)

    methods = [
        experiment.settings_of(controls.split(row)[0]) for row in experiment.rows
    ]
    if any(method.needs_teacher for method in methods):
        add(*_teacher(experiment, ""))
    for row in experiment.rows:
        add(*_row(experiment, row))
    rows = [
        row
        for row in controls.all_rows()
        if row in experiment.rows or row in finished_rows or row in found
    ]
    add(
        *(Evaluation(experiment, row) for row in rows), Results(experiment, tuple(rows))
    )
    return tuple(found.values())


def _teacher(experiment, control):
    if experiment.teacher.checkpoint and not control:
        yield TeacherAccuracy(experiment)
    yield Teacher(experiment, control)


def _row(experiment, row):
    """A row, after everything that it needs."""
    method, control = controls.split(row)
    settings = experiment.settings_of(method)
    other = control if control in controls.OTHER_TEACHERS else ""
    if settings.needs_teacher:
        yield from _teacher(experiment, other)
    if settings.is_teacher:
        yield Finetuning(experiment, is_row=True)
        return
    if settings.needs_teacher:
        yield Finetuning(experiment, control=other)
    made = Row(experiment, row)
    if isinstance(made.start, Row):
        yield from _row(experiment, made.start.name)
    elif made.start:
        yield made.start
    yield made
