"""The record of a search over settings, which try it chooses, and its table."""

import re
import shlex

from igam_tf.attacks.fractions import fraction
from igam_tf.reports.names import attack_title
from igam_tf.reports.transfer import strongest
from tools.tables import table_lines

TRANSFER = "transfer"
# Where files are on this machine.
_PRIVATE = re.compile(r"--?data_dir\b")
_CONDITIONS = ("threat_model", "eps", "step_size", "num_examples", "held_out_fraction")


def summarise(done, args, flags, planned):
    """Everything about the tries so far, ready for JSON.

    Args:
        done: list of (job, contents of results.json or None, error or "").
        args: arguments of `tools.search`.
        flags: flags that all tries have in common.
        planned: number of tries that there will be.

    Returns:
        Dict with "title", "row", "flags" (common ones), "tries" (see `_try`), what the
        evaluations have in common, "chosen" (the name of a try, or None), "chosen_by",
        "clean_at_least", "planned", "combinations" (of the grid), "seed".
    """
    tries = [_try(job, results, error, args) for job, results, error in done]
    results = next((found for _, found, _ in done if found), None)
    evaluation = results["rows"][args.row]["evaluation"] if results else {}
    by = args.choose or strongest(evaluation.get("attacks", ()))
    combinations = 1
    for _, values in args.grid:
        combinations *= len(values)
    return {
        "title": results["title"] if results else "",
        "row": args.row,
        "flags": [flag for flag in flags if not _PRIVATE.match(flag)],
        "tries": tries,
        **{name: evaluation.get(name) for name in _CONDITIONS},
        "chosen": chosen(tries, by, args.clean_at_least),
        "chosen_by": by,
        "clean_at_least": args.clean_at_least,
        "planned": planned,
        "combinations": combinations if args.grid else 0,
        "seed": args.seed,
    }


def _try(job, results, error, args):
    """One try: "name" (its flags), "folder", "error", and of its row "attacks"
    (accuracies in percent), "transfer" (points above the best control, or None),
    "warns" (names of the panel's checks) and "training_seconds"."""
    found = {"name": job.variant, "folder": job.folder.name, "error": error}
    if results is None:
        return found
    row = results["rows"][args.row]
    evaluation = row["evaluation"]
    entries = [e for e in results.get("transfer", ()) if e["row"] == args.row]
    compared = entries[0]["comparison"] if entries else None
    attacks = evaluation["attacks"].items()
    return {
        **found,
        "attacks": {name: round(100 * e["accuracy"], 2) for name, e in attacks},
        TRANSFER: round(100 * compared["difference"], 2) if compared else None,
        "warns": list((evaluation.get("panel") or {}).get("warns", ())),
        "training_seconds": row.get("training_seconds"),
    }


def chosen(tries, by, clean_at_least):
    """Name of the best try; None where no try can be chosen.

    Args:
        tries: as `summarise` has them.
        by: an attack, or "transfer".
        clean_at_least: percent of clean images that it has to get right.
    """
    able = {}
    for entry in tries:
        attacks = entry.get("attacks", {})
        value = entry.get(TRANSFER) if by == TRANSFER else attacks.get(by)
        if value is None or entry["warns"]:
            continue
        if attacks.get("clean", 100.0) >= clean_at_least:
            able[entry["name"]] = value
    return max(able, key=able.__getitem__, default=None)


def table(record):
    """A search as Markdown that also reads well in a terminal.

    Args:
        record: what `summarise` returns.
    """
    attacks = list(
        dict.fromkeys(a for entry in record["tries"] for a in entry.get("attacks", ()))
    )
    has_controls = any(e.get(TRANSFER) is not None for e in record["tries"])
    header = ["try", *map(attack_title, attacks)]
    header += ["minus best control"] if has_controls else []
    header += ["training (s)", "remark"]
    rows = []
    for entry in record["tries"]:
        found = entry.get("attacks", {})
        cells = [f"`{entry['name']}`", *(_shown(found.get(a)) for a in attacks)]
        cells += [_shown(entry.get(TRANSFER), "+.1f")] if has_controls else []
        rows.append(
            [*cells, _shown(entry.get("training_seconds")), _remark(entry, record)]
        )
    lines = [f"### Search: {record['row']}, {record['title']}", ""]
    lines += [*table_lines(header, rows), "", *(f"- {c}" for c in _captions(record))]
    return "\n".join(lines) + "\n"


def _shown(value, form=".1f"):
    return "-" if value is None else format(value, form)


def _remark(entry, record):
    if entry["error"]:
        return "failed"
    if entry["name"] == record["chosen"]:
        return "chosen"
    return f"panel: {', '.join(entry['warns'])}" if entry["warns"] else ""


def _captions(record):
    if record["num_examples"] is None:
        yield "No try has finished."
        return
    eps, step = fraction(record["eps"]), record["step_size"]
    ball = f"{record['threat_model']}, eps {eps}"
    ball += f", step {fraction(step)}" if step is not None else ""
    yield (
        f"Accuracy in percent of {record['num_examples']} held-out training images "
        f"(fraction {record['held_out_fraction']:g}); {ball}; seed {record['seed']}. "
        "No test image was used."
    )
    count = f"{len(record['tries'])} of {record['planned']} tries"
    if record["combinations"]:
        count += f"; the grid has {record['combinations']} combinations"
    yield f"{count}. Common flags: `{shlex.join(record['flags'])}`."
    by = record["chosen_by"]
    measure = "the row minus its best control" if by == TRANSFER else attack_title(by)
    rule = f"Chosen by {measure}"
    if record["clean_at_least"]:
        rule += f", of tries with {record['clean_at_least']:g} % clean at least"
    if record["chosen"] is None:
        yield f"{rule}: none of these tries can be chosen."
    else:
        yield (
            f"{rule}: `{record['chosen']}`. The best of several tries looks better "
            "than it is: report what is measured on the test set."
        )
