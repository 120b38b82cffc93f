"""Mean and spread of runs that differ in their seed: the record, and its table."""

import csv
import itertools
import pathlib
import statistics

from igam_tf.attacks import radii
from igam_tf.attacks.fractions import fraction
from igam_tf.reports.names import HELD_OUT, attack_title, evaluated_images
from igam_tf.reports.transfer import sentences, transfer

REFERENCE = "standard"
CONDITIONS = ("threat_model", "eps", "step_size", "batch_norm", "num_examples")


def summarise(runs, seeds, variants):
    """Everything about several seeds, ready for JSON.

    Args:
        runs: dict from variant to list of (run folder, contents of its results.json),
            one a seed.
        seeds: list of the seeds.
        variants: dict from variant to its tuple of extra flags; may be empty.

    Returns:
        dict with "title", "rows" (see `summarise_row`), "seeds", what the evaluations
        have in common ("threat_model", "eps", "step_size", "batch_norm",
        "num_examples"), "transfer" (what each variant's controls say), "variants",
        "changes" and "settings" (those all runs share), "train_examples", "versions",
        "machine", "git_revision". Where runs differ in one of these, it is the list of
        its different values.
    """
    results = [result for of_variant in runs.values() for _, result in of_variant]
    evaluations = [row["evaluation"] for r in results for row in r["rows"].values()]
    first, *others = [r["settings"] for r in results]
    changes = [r.get("changes") or [] for r in results]
    kept = ("train_examples", "versions", "machine", "git_revision", "resumed_with")
    return {
        "title": common([r["title"] for r in results]),
        "rows": _rows(runs),
        "seeds": seeds,
        **{name: common([e.get(name) for e in evaluations]) for name in CONDITIONS},
        "variants": {name: list(extra) for name, extra in variants.items()},
        "transfer": {
            name: transfer(*(result for _, result in of_variant))
            for name, of_variant in runs.items()
        },
        "changes": [c for c in changes[0] if all(c in of_run for of_run in changes)],
        "settings": {
            name: value
            for name, value in first.items()
            if all(name in other and other[name] == value for other in others)
        },
        **{name: common([r.get(name) for r in results]) for name in kept},
        **_held_out(evaluations),
    }


def _held_out(evaluations):
    """The mark of results that are not of test images; all are of the same kind."""
    found = common([e.get(HELD_OUT) for e in evaluations])
    if isinstance(found, list):
        raise ValueError(
            f"runs of --{HELD_OUT} {found}: expected all of them on the same images, "
            "held out or test images."
        )
    return {HELD_OUT: found} if found else {}


def summarise_row(entries, folders, method, variant, references):
    """One line of the table.

    Args:
        entries: list of the row's results, one a seed.
        folders: list of run folders.
        method: the row's name there.
        variant: name of the variant, or "".
        references: list of seconds of an epoch that the row's are divided by, or None.

    Returns:
        dict with "label", "method", "variant", "attacks" (attack to summary, in
        percent), "worst_case" (a summary), "training_seconds", "epoch_seconds" and
        "relative_epoch_seconds" (summaries; None where unknown), "panel" (whether the
        masking panel looked), and one list a seed of "warnings" (sentences) and "warns"
        (their names).
    """
    evaluations = [entry["evaluation"] for entry in entries]
    pairs = zip(folders, entries, strict=True)
    seconds = [epoch_seconds(folder, _stage(entry, method)) for folder, entry in pairs]
    ratios = None
    if references and all(references) and all(seconds):
        ratios = [a / b for a, b in zip(seconds, references, strict=True)]
    worst = [e.get("worst_case") for e in evaluations]
    return {
        "label": f"{entries[0]['label']}, {variant}".removesuffix(", "),
        "method": method,
        "variant": variant,
        "attacks": {
            attack: _percents([e["attacks"][attack] for e in evaluations])
            for attack in evaluations[0]["attacks"]
        },
        "worst_case": _percents(worst) if all(worst) else None,
        "training_seconds": summary([e.get("training_seconds") for e in entries], 1),
        "epoch_seconds": summary(seconds, 3),
        "relative_epoch_seconds": summary(ratios or [None], 3),
        "panel": all(e.get("panel") for e in evaluations),
        "warnings": [e.get("warnings", []) for e in evaluations],
        "warns": [_names_of_warnings(e) for e in evaluations],
    }


def _stage(entry, method):
    """Folder of a row's history: below the run's in a table of several runs."""
    student = entry.get("student") or f"{method}/student.keras"
    return pathlib.PurePosixPath(student).parent


def summary(values, digits):
    """Mean, sample standard deviation and values, rounded; None if one is unknown.

    The standard deviation of one value is None.
    """
    if any(value is None for value in values):
        return None
    values = [round(value, digits) for value in values]
    spread = round(statistics.stdev(values), digits) if len(values) > 1 else None
    mean = round(statistics.mean(values), digits)
    return {"mean": mean, "standard_deviation": spread, "values": values}


def epoch_seconds(folder, method):
    """Mean seconds of the epochs but the first, which compiles; None if unknown.

    Args:
        folder: run folder.
        method: the row's folder inside of it, which holds history.csv.
    """
    path = folder / method / "history.csv"
    if not path.exists():
        return None
    with open(path, newline="") as file:
        seconds = [float(line["seconds"]) for line in csv.DictReader(file)]
    return statistics.mean(seconds[1:] or seconds) if seconds else None


def common(values):
    """The value that all share, or the list of the different ones."""
    different = []
    for value in values:
        if value not in different:
            different.append(value)
    return different[0] if len(different) == 1 else different


def table(record):
    """The record as Markdown.

    Args:
        record: what `summarise` returned.

    Returns:
        Text: a table with mean and standard deviation, and what was measured.
    """
    rows = list(record["rows"].values())
    attacks = list(dict.fromkeys(attack for row in rows for attack in row["attacks"]))
    is_timed = any(row["relative_epoch_seconds"] for row in rows)
    cells = [["Model", *map(attack_title, attacks), *["epoch time"] * is_timed]]
    for line in rows:
        accuracies = [_with_spread(line["attacks"].get(attack)) for attack in attacks]
        time = _with_spread(line["relative_epoch_seconds"], digits=2)
        cells.append([line["label"], *accuracies, *[time] * is_timed])
    captions = [f"- {line}" for line in _captions(record, rows, is_timed)]
    return "\n".join([*markdown(cells), "", *captions]) + "\n"


def markdown(cells):
    """Lines of a Markdown table; all columns but the first are numbers."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    lines = [cells[0], rule, *cells[1:]]
    aligned = [[a.ljust(widths[0]), *map(str.rjust, b, widths[1:])] for a, *b in lines]
    return [f"| {' | '.join(line)} |" for line in aligned]


def _rows(runs):
    """Rows that every seed has, by method and then by variant."""
    methods = {
        variant: [m for m in of_variant[0][1]["rows"] if _in_all(m, of_variant)]
        for variant, of_variant in runs.items()
    }
    rows = {}
    for method in dict.fromkeys(m for names in methods.values() for m in names):
        for variant, of_variant in runs.items():
            if method not in methods[variant]:
                continue
            folders = [folder for folder, _ in of_variant]
            entries = [result["rows"][method] for _, result in of_variant]
            references = _references(runs, variant)
            name = f"{method}, {variant}".removesuffix(", ")
            rows[name] = summarise_row(entries, folders, method, variant, references)
    return rows


def _in_all(method, of_variant):
    return all(method in result["rows"] for _, result in of_variant)


def _references(runs, variant):
    """Seconds of an epoch of Standard, one a seed, or None.

    Of the variant itself, or where one of them has no Standard, of the first that has.
    """
    have = [name for name in runs if _in_all(REFERENCE, runs[name])]
    if not have:
        return None
    name = variant if len(have) == len(runs) else have[0]
    return [
        epoch_seconds(folder, _stage(result["rows"][REFERENCE], REFERENCE))
        for folder, result in runs[name]
    ]


def _percents(entries):
    return summary([100 * entry["accuracy"] for entry in entries], 2)


def _names_of_warnings(evaluation):
    """The panel's checks that warn; "attack_order" if a stronger attack did worse."""
    panel = evaluation.get("panel") or {"warns": [], "checks": {}}
    said = {check["sentence"] for check in panel["checks"].values()}
    is_order_wrong = any(text not in said for text in evaluation.get("warnings", []))
    return panel["warns"] + ["attack_order"] * is_order_wrong


def _with_spread(cell, digits=1):
    if cell is None:
        return "-"
    mean = f"{cell['mean']:.{digits}f}"
    spread = cell["standard_deviation"]
    return mean if spread is None else f"{mean} ± {spread:.{digits}f}"


def _captions(record, rows, is_timed):
    seeds = record["seeds"]
    yield (
        f"Accuracy in percent, mean ± standard deviation of {len(seeds)} seeds "
        f"({seeds[0]} to {seeds[-1]})."
        if len(seeds) > 1
        else f"Accuracy in percent, seed {seeds[0]}."
    )
    eps, step = _either(record["eps"], fraction), _either(record["step_size"], fraction)
    yield (
        f"{_either(record['threat_model'])}, eps {eps}, step {step}; "
        f"{_either(record['num_examples'])} {evaluated_images(record)}; batch norm in "
        f"{_either(record['batch_norm'])} mode."
    )
    if is_timed:
        yield (
            f"Epoch time: seconds of a training epoch over those of {_divisor(rows)}, "
            "same seed; the first epoch, which compiles, does not count."
        )
    yield from _panel_captions(rows, record)
    if record["variants"]:
        flags = [f"{n} `{' '.join(f)}`" for n, f in record["variants"].items() if f]
        yield f"Variants: {', '.join(flags)}."
    if record["changes"]:
        yield f"Not the recipe: {', '.join(record['changes'])}."
    for name, found in record.get("transfer", {}).items():
        for sentence in sentences(found):
            yield f"{name}: {sentence}".removeprefix(": ")


def _divisor(rows):
    """Label of the row, or rows, whose epochs are the unit."""
    standard = [row["label"] for row in rows if row["method"] == REFERENCE]
    if len(standard) < 2:
        return "".join(standard)
    have_own = {row["variant"] for row in rows} <= {
        row["variant"] for row in rows if row["method"] == REFERENCE
    }
    return "Standard of the same variant" if have_own else standard[0]


def _panel_captions(rows, record):
    """What the evaluations warn of, in any seed."""
    quiet = [row["label"] for row in rows if row["panel"] and not any(row["warns"])]
    if quiet:
        yield f"Masking panel, no warning in any seed: {', '.join(quiet)}."
    for row in rows:
        by_seed = zip(record["seeds"], row["warns"], strict=True)
        found = [f"seed {seed}: {', '.join(names)}" for seed, names in by_seed if names]
        if found:
            yield f"Warnings, {row['label']}: {'; '.join(found)}."
    below = [row for row in rows if _is_below(row, record)]
    if below:
        shown = [f"{row['label']} {_with_spread(row['worst_case'])}" for row in below]
        yield f"Under all attacks and the panel's together: {', '.join(shown)}."


def _is_below(row, record):
    """Whether all attacks together take more than the strongest takes alone.

    Of attacks that may leave the ball of the worst case it is not said.
    """
    conditions = (_listed(record[name]) for name in ("threat_model", "eps"))
    balls = list(itertools.product(*conditions))
    inside = [
        cell["values"]
        for name, cell in row["attacks"].items()
        if any(radii.is_within(name, *ball) for ball in balls)
    ]
    if row["worst_case"] is None or not inside:
        return False
    columns = zip(*inside, strict=True)
    pairs = zip(row["worst_case"]["values"], columns, strict=True)
    return any(worst < min(column) for worst, column in pairs)


def _listed(value):
    return value if isinstance(value, list) else [value]


def _either(value, shown=str):
    return " or ".join(map(shown, value)) if isinstance(value, list) else shown(value)
