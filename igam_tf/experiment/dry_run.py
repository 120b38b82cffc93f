"""`--dry_run`: the stages of a run, their sizes, and what they will take."""

from __future__ import annotations

from igam_tf import distribution
from igam_tf.experiment.estimate import Estimate, Measured
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.plan import plan
from igam_tf.experiment.sharing import trained_stages
from igam_tf.experiment.stages import Stage
from igam_tf.experiment.table import Table

_COLUMNS = ("stage", "from", "parameters", "steps", "ms a step", "time", "memory")


def dry_run(experiment: Experiment | Table) -> str:
    """What a run would do, as a text: nothing is trained, and nothing written.

    One training step of every stage is compiled and measured on noise, with the
    settings' batch size. Times add up over all epochs; evaluations count attacks by
    gradient steps only, on images that withstand them, and common corruptions.

    Args:
        experiment: settings of a run, or a table.

    Raises:
        ValueError: if data, checkpoint or transform do not fit the settings.
    """
    if isinstance(experiment, Experiment):
        return "\n".join(_of_run(experiment, {}))
    lines: list[str] = []
    seen: dict[tuple[str, str], str] = {}
    for number, (inner, rows) in enumerate(experiment.runs()):
        if rows[0].start:
            # There is no such student yet; its weights take no time.
            inner = inner.replace(student_checkpoint="")
        labels = ", ".join(row.label for row in rows)
        lines += [
            f"Run {number + 1}: {labels}",
            *_of_run(inner, seen, f"run {number + 1}"),
            "",
        ]
    return "\n".join(lines)


def _of_run(experiment, seen, place=""):
    """Lines of one run; a stage that an earlier run of the table makes is named so."""
    with distribution.precision(experiment.run.precision):
        estimate = Estimate(experiment)
        deciding = {stage.name: flags for stage, flags in trained_stages(experiment)}
        rows, total = [_COLUMNS], 0.0
        for stage in plan(experiment):
            key = (stage.name, str(deciding.get(stage.name)))
            if stage.name in deciding and key in seen:
                rows.append((stage.name, f"as in {seen[key]}", *[""] * 5))
                continue
            seen[key] = place
            found = estimate.of(stage)
            total += found.total
            rows.append(_shown(stage, found))
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows
    ]
    return [*lines, f"Together about {_duration(total)}, compilation aside."]


def _shown(stage: Stage, found: Measured) -> tuple[str, ...]:
    inputs = ", ".join(stage.inputs) if len(stage.inputs) < 3 else "all of these"
    if not found.parameters:
        return (stage.name, inputs, "", "", "", found.remark, "")
    return (
        stage.name,
        inputs,
        f"{found.parameters:,}",
        f"{found.steps:,}",
        f"{1000 * found.seconds:.1f}",
        _duration(found.total) + (f" ({found.remark})" if found.remark else ""),
        f"{found.memory / 2**30:.1f} GiB",
    )


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
