"""The table of a run: one line a model, one column an attack."""

import contextlib
from collections.abc import Iterator

from igam_tf.attacks import radii
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.corruptions.relative import relative_corruption_error
from igam_tf.evaluation.statistic_names import STATISTICS
from igam_tf.reports.markdown import table_lines
from igam_tf.reports.names import attack_title, evaluated_images, titles
from igam_tf.reports.transfer import sentences, transfer

_BATCH_NORM = {
    "inference": "batch norm in inference mode",
    "batch": "batch norm with the statistics of each batch, as the paper's authors",
}
_MISSING = "-"
#: Columns that stand beside the attacks, where they were measured.
_BESIDE = ("verified", "corruptions")


def format_table(results: dict) -> str:
    """The results of a run as Markdown that also reads well in a terminal.

    Args:
        results: dict with
            "title": text;
            "rows": dict from row name to {"label": text, "evaluation": a result of
                `igam_tf.evaluate`, "training_seconds": number or None};
            "teacher_seconds": dict from stage to seconds (may be missing);
            "changes": where the run differs from its recipe, a list (may be missing);
            "paper": dict from row name to {attack: percent} (may be missing).

    Returns:
        Text: title, table of accuracies in percent, and of statistics of input
        gradients where they were measured, settings, warnings, and last, what the
        controls say of each method that learns from a teacher.

    Raises:
        ValueError: if there are no rows.
    """
    rows = results["rows"]
    if not rows:
        raise ValueError("results have no rows: expected at least one model.")
    paper = results.get("paper") or {}
    lines = [f"### {results['title']}", "", *_table(rows, paper), ""]
    if measured := statistics_of(rows):
        lines += [*_statistics(rows, paper, measured), ""]
    lines += [f"- {line}" for line in captions(rows, paper)]
    lines += [f"- {line}" for line in beside_lines(rows)]
    lines += [f"- {line}" for line in panel_lines(rows)]
    lines += [f"- {line}" for line in teacher_lines(results)]
    if results.get("changes"):
        lines.append(f"- Not the recipe: {', '.join(results['changes'])}.")
    for row in rows.values():
        for warning in row["evaluation"].get("warnings", []):
            lines.append(f"- Warning, {row['label']}: {warning}")
    lines += [f"- {sentence}" for sentence in sentences(transfer(results))]
    return "\n".join(lines) + "\n"


def _table(rows, paper):
    attacks = list(
        dict.fromkeys(a for row in rows.values() for a in row["evaluation"]["attacks"])
    )
    unit, seconds = time_unit(rows)
    is_timed = any(row.get("training_seconds") is not None for row in rows.values())
    times = [f"training ({unit})"] if is_timed else []
    more = beside_attacks(rows)
    cells = [["Model", *map(attack_title, attacks), *more, *times]]
    for name, row in rows.items():
        accuracies = row["evaluation"]["attacks"]
        published = paper.get(name, {})
        percents = [_percent(accuracies.get(a), published.get(a)) for a in attacks]
        percents += [_percent(row["evaluation"].get(key), None) for key in more]
        time = row.get("training_seconds")
        duration = _MISSING if time is None else f"{time / seconds:.1f}"
        cells.append([row["label"], *percents, *([duration] if is_timed else [])])
    return table_lines(cells)


def statistics_of(rows: dict[str, dict]) -> list[str]:
    """Names of the statistics of input gradients that any row has, in order."""
    found = (row["evaluation"].get("statistics", {}) for row in rows.values())
    return list(dict.fromkeys(name for one in found for name in one))


def statistic_text(entry: dict | None, published: float | None = None) -> str:
    """A mean to four digits, with the published one in parentheses."""
    value = entry and entry["mean"]
    ours = _MISSING if value is None else f"{value:.4g}"
    return ours if published is None else f"{ours} ({published:.4g})"


def _statistics(rows, paper, names):
    cells = [["Model", *(STATISTICS.get(name, name) for name in names)]]
    for key, row in rows.items():
        found, known = row["evaluation"].get("statistics", {}), paper.get(key, {})
        texts = [statistic_text(found.get(n), known.get(n)) for n in names]
        cells.append([row["label"], *texts])
    return table_lines(cells)


def _percent(entry, published):
    ours = _MISSING if entry is None else f"{100 * entry['accuracy']:.1f}"
    if published is None:
        return ours
    if entry is None:
        return f"{ours} ({published:.1f})"
    difference = 100 * entry["accuracy"] - published
    return f"{ours} ({published:.1f}, {difference:+.1f})"


def time_unit(rows: dict[str, dict]) -> tuple[str, int]:
    """Unit of the training times of all rows, and its seconds."""
    longest = max(row.get("training_seconds") or 0 for row in rows.values())
    if longest < 600:
        return "s", 1
    return ("min", 60) if longest < 36000 else ("h", 3600)


def captions(rows: dict[str, dict], paper: dict) -> list[str]:
    """What was measured: once if all rows agree, else for each of them."""
    by_text: dict[str, list[str]] = {}
    for row in rows.values():
        by_text.setdefault(_settings(row["evaluation"]), []).append(row["label"])
    width = 100 * max(map(_half_width, rows.values()))
    lines = [
        f"Accuracy in percent (95 % intervals: up to {width:.1f} points on each side)"
        + ("; in parentheses the paper's, and ours minus it." if paper else ".")
    ]
    if statistics_of(rows):
        lines.append(
            "Input gradients g of the loss, per unit of a [0, 1] pixel: means over "
            "these images" + ("; in parentheses the paper's." if paper else ".")
        )
    for text, labels in by_text.items():
        lines.append(text if len(by_text) == 1 else f"{', '.join(labels)}: {text}")
    return lines


def beside_attacks(rows: dict[str, dict]) -> list[str]:
    """Columns of what was measured beside attacks: verified, corruptions."""
    return [
        key
        for key in _BESIDE
        if any(row["evaluation"].get(key) for row in rows.values())
    ]


def beside_lines(rows: dict[str, dict]) -> Iterator[str]:
    """What the columns of `beside_attacks` are, and mCE against Standard, if there."""
    methods = [
        row["evaluation"]["verified"]["method"]
        for row in rows.values()
        if row["evaluation"].get("verified")
    ]
    if methods:
        yield (
            "Verified: a lower bound, images of which it is proved that nothing in the "
            f"ball misleads ({'; '.join(dict.fromkeys(methods))})."
        )
    found = {
        name: row["evaluation"]["corruptions"]
        for name, row in rows.items()
        if row["evaluation"].get("corruptions")
    }
    told: dict[str, list[str]] = {}
    for name, corruptions in found.items():
        told.setdefault(_corruptions(corruptions), []).append(rows[name]["label"])
    for text, labels in told.items():
        of_some = "" if len(told) == 1 else f" ({', '.join(labels)})"
        yield f"Corruptions{of_some}: {text}"
    base = found.get("standard")
    if base is None or len(found) == 1:
        return
    errors = []
    for name, corruptions in found.items():
        if name == "standard":
            continue
        # None of others than Standard's, or where Standard makes no error.
        with contextlib.suppress(ValueError):
            error = relative_corruption_error(corruptions, base)
            errors.append(f"{rows[name]['label']} {100 * error:.1f}")
    if errors:
        yield f"mCE in percent of the errors of Standard: {', '.join(errors)}."


def _corruptions(found):
    severities = list(found["severities"])
    first, last = severities[0], severities[-1]
    if len(severities) > 1 and severities == list(range(first, last + 1)):
        told = f"severities {first} to {last}"
    else:
        told = f"severity {', '.join(map(str, severities))}"
    without = f"; without {', '.join(found['left_out'])}" if found["left_out"] else ""
    return (
        f"mean of {len(found['kinds'])} kinds at {told}, {found['num_examples']} "
        f"images of each; {found['source']}{without}."
    )


def panel_lines(rows: dict[str, dict]) -> Iterator[str]:
    """What the panel says of all rows: of each, only what it warns of."""
    titled = titles(rows)
    panels = {
        titled[key]: row["evaluation"]["panel"]
        for key, row in rows.items()
        if row["evaluation"].get("panel")
    }
    quiet = [label for label, panel in panels.items() if not panel["warns"]]
    if quiet:
        yield f"Masking panel, no warning: {', '.join(quiet)}."
    below = []
    for row in rows.values():
        evaluation, worst = row["evaluation"], row["evaluation"].get("worst_case")
        ball = evaluation["threat_model"], evaluation["eps"]
        # Others, which may leave the ball, do not count for the worst case.
        columns = [
            entry["accuracy"]
            for name, entry in evaluation["attacks"].items()
            if radii.is_within(name, *ball)
        ]
        if worst and worst["accuracy"] < min(columns, default=1):
            below.append(f"{row['label']} {100 * worst['accuracy']:.1f}")
    if below:
        yield f"Under all attacks and the panel's together: {', '.join(below)}."
    both = [
        f"{label} {100 * modes['inference']['pgd20']:.0f} / "
        f"{100 * modes['batch']['pgd20']:.0f}"
        for label, panel in panels.items()
        if "batch_norm" in panel["checks"]
        for modes in [panel["checks"]["batch_norm"]["values"]]
    ]
    if both:
        yield (
            "Batch norm in inference mode / with the statistics of each batch, PGD-20 "
            f"on the panel's images: {', '.join(both)}."
        )


def teacher_lines(results: dict) -> Iterator[str]:
    """How long the trainings before the rows took, if there were any."""
    seconds = results.get("teacher_seconds") or {}
    if any(seconds.values()):
        spent = ", ".join(f"{stage} {s:.0f} s" for stage, s in seconds.items() if s)
        yield f"Trained before FT and IGAM, once: {spent}."


def _settings(evaluation):
    size = f"eps {fraction(evaluation['eps'])}"
    if evaluation.get("step_size") is not None:
        size += f", step {fraction(evaluation['step_size'])}"
    return (
        f"{evaluation['threat_model']}, {size}; {evaluation['num_examples']} "
        f"{evaluated_images(evaluation)}; seed {evaluation['seed']}; "
        f"{_BATCH_NORM[evaluation['batch_norm']]}."
    )


def _half_width(row):
    """Half the widest interval of a row."""
    intervals = [e["interval_95"] for e in row["evaluation"]["attacks"].values()]
    return max((high - low) / 2 for low, high in intervals)
