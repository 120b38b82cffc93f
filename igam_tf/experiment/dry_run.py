"""`--dry_run`: the stages of a run, their sizes, and what they will take."""

from __future__ import annotations

from collections.abc import Iterator

from igam_tf import distribution
from igam_tf.experiment.estimate import Estimate, Measured
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.plan import plan
from igam_tf.experiment.sharing import trained_stages
from igam_tf.experiment.table import Table

_COLUMNS = (
    "stage", "from", "parameters", "steps", "ms a step", "time", "memory", "",
)  # fmt: skip
_MEASURING = (
    "A step of each stage is compiled and measured, which takes minutes a stage for "
    "large networks on a CPU; a line comes as soon as it is known."
)
# Of the columns with numbers; the first two are as wide as their names.
_WIDTHS = (11, 9, 9, 7, 8, 0)


def dry_run(experiment: Experiment | Table) -> Iterator[str]:
    """What a run would do, line by line: nothing is trained, and nothing written.

    One training step of every stage is compiled and measured on noise, with the
    settings' batch size, which may take minutes: a line comes as soon as it is known.
    Times add up over all epochs; evaluations count attacks by gradient steps only, on
    images that withstand them, and common corruptions.

    Args:
        experiment: settings of a run, or a table.

    Yields:
        A line of text.

    Raises:
        ValueError: if data, checkpoint or transform do not fit the settings.
    """
    yield _MEASURING
    if isinstance(experiment, Experiment):
        yield from _of_run(experiment, {})
        return
    seen: dict[tuple[str, str], str] = {}
    for number, (inner, rows) in enumerate(experiment.runs()):
        if rows[0].start:
            # There is no such student yet; its weights take no time.
            inner = inner.replace(student_checkpoint="")
        labels = ", ".join(row.label for row in rows)
        yield f"Run {number + 1}: {labels}"
        yield from _of_run(inner, seen, f"run {number + 1}")
        yield ""


def _of_run(experiment, seen, place=""):
    """Lines of one run; a stage that an earlier run of the table makes is named so."""
    with distribution.precision(experiment.run.precision):
        estimate = Estimate(experiment)
        deciding = {stage.name: flags for stage, flags in trained_stages(experiment)}
        stages, total = plan(experiment), 0.0
        names = [_COLUMNS[:2], *((stage.name, _inputs(stage)) for stage in stages)]
        widths = (*(max(map(len, column)) for column in zip(*names)), *_WIDTHS)
        yield _line(_COLUMNS, widths)
        for stage in stages:
            key = (stage.name, str(deciding.get(stage.name)))
            if stage.name in deciding and key in seen:
                measured = Measured(remark=f"as in {seen[key]}")
            else:
                seen[key] = place
                measured = estimate.of(stage)
            total += measured.total
            cells = (stage.name, _inputs(stage), *_cells(measured))
            yield _line(cells, widths)
    yield f"Together about {_duration(total)}, compilation aside."


def _line(cells, widths):
    return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def _inputs(stage):
    return ", ".join(stage.inputs) if len(stage.inputs) < 3 else "all of these"


def _cells(measured):
    """What was measured, as the last six columns of a line."""
    if not measured.parameters:
        return ("", "", "", "", "", measured.remark)
    return (
        f"{measured.parameters:,}",
        f"{measured.steps:,}",
        f"{1000 * measured.seconds:.1f}",
        _duration(measured.total),
        f"{measured.memory / 2**30:.1f} GiB",
        measured.remark,
    )


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
