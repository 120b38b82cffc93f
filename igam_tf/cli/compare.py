"""`igam-tf evaluate --compare`: two recorded evaluations, image by image."""

import pathlib
from collections.abc import Sequence

from igam_tf import files
from igam_tf.attacks.fractions import fraction
from igam_tf.cli import commands
from igam_tf.reports.markdown import table_lines
from igam_tf.reports.names import evaluated_images

FLAG = "--compare"
_DESCRIPTION = """\
Compares two recorded evaluations of the same images under every attack that both have:
the difference of the accuracies with its 95 % interval, and the exact McNemar test on
the images that only one of the two gets right. Nothing is evaluated anew.
"""
_EXAMPLE = """\
examples:
  igam-tf evaluate --compare igam.results.json pgd.results.json --out=difference.json
  igam-tf evaluate --compare RUN_FOLDER:igam RUN_FOLDER:finetune
"""
_VERDICTS = {1: "first", -1: "second", 0: "undecided"}


def is_asked_for(arguments: Sequence[str]) -> bool:
    """Whether the arguments of `igam-tf evaluate` ask for a comparison."""
    return any(text.split("=")[0] == FLAG for text in arguments)


def main(arguments: Sequence[str]) -> int:
    """Compares two evaluations.

    Args:
        arguments: list of strings, with "--compare" among them.

    Returns:
        int: exit status, 0 or 1.
    """
    options = _parser().parse_args(arguments)
    return commands.run(lambda: _run(options), interrupted="nothing was written")


def _parser():
    parser = commands.Parser(
        prog="igam-tf evaluate", description=_DESCRIPTION, epilog=_EXAMPLE
    )
    parser.add_argument(FLAG, nargs=2, required=True, metavar=("FIRST", "SECOND"),
        help="JSON files of igam-tf evaluate, or run folders; FILE:ROW chooses a row "
        "where there are several")  # fmt: skip
    parser.add_argument("--out", metavar="FILE", type=pathlib.Path,
        help="JSON file for the comparison (default: none)")  # fmt: skip
    return parser


def _run(options):
    from igam_tf.evaluation.comparison import compare_evaluations

    inputs = [_find(text) for text in options.compare]
    out = options.out
    if out is not None:
        if out.is_dir() or not out.parent.is_dir():
            raise FileNotFoundError(
                f"--out={out}: expected a file in a folder that exists."
            )
        if any(out.exists() and out.samefile(path) for path, _ in inputs):
            raise ValueError(f"--out={out} is one of the two: expected another file.")
    (first, a), (second, b) = (_evaluation(*found) for found in inputs)
    found = {"first": first, "second": second, **compare_evaluations(a, b)}
    if out is not None:
        files.write_json(out, found)
    print(format_comparison(found), flush=True)
    if out is not None:
        print(f"\nWritten to {out}", flush=True)


def format_comparison(found: dict) -> str:
    """A comparison as Markdown that also reads well in a terminal.

    Args:
        found: what `compare_evaluations` returns, with "first" and "second", what the
            two are called.

    Returns:
        Text: title, a line an attack with accuracies in percent, and notes.
    """
    head = ["attack", "first", "second", "difference", "95 % interval", "first only",
            "second only", "p", "better"]  # fmt: skip
    lines = [head]
    for name, entry in found["attacks"].items():
        only = [str(entry["first_only"]), str(entry["second_only"])]
        lines.append([name, *_percents(entry), *only, *_verdict(entry)])
    rows = table_lines(lines)
    captions = [
        f"first: {found['first']}; second: {found['second']}",
        f"{found['threat_model']}, eps {fraction(found['eps'])}; "
        f"{found['num_examples']} {evaluated_images(found)}, the same ones",
        "Accuracy in percent; difference: first minus second. Exact McNemar test on "
        "the images that only one gets right; better where p < 0.05, attack by attack.",
        *found["notes"],
    ]
    if found.get("corruptions"):
        rows += ["", *_corruptions(found["corruptions"])]
        captions.append(
            "Under corruptions: of each image the share of its corrupted forms, by a "
            "paired t test over images."
        )
    return "\n".join([*rows, "", *(f"- {line}" for line in captions)])


def _corruptions(compared):
    """The table of what `compare_corruptions` returns."""
    lines = [["corruption", "first", "second", "difference", "95 % interval", "p",
              "better"]]  # fmt: skip
    for name, entry in compared.items():
        lines.append([name, *_percents(entry), *_verdict(entry)])
    return table_lines(lines)


def _percents(entry):
    low, high = (100 * end for end in entry["interval"])
    return [
        f"{100 * entry['first']:.1f}",
        f"{100 * entry['second']:.1f}",
        f"{100 * entry['difference']:+.1f}",
        f"{low:+.1f} to {high:+.1f}",
    ]


def _verdict(entry):
    return [f"{entry['p_value']:.2g}", _VERDICTS[entry["decided"]]]


def _find(text):
    """The JSON file and the row (or None) that an argument names."""
    path, row = pathlib.Path(text), None
    if not path.exists() and ":" in text:
        place, _, row = text.rpartition(":")
        path = pathlib.Path(place)
    if path.is_dir():
        path = path / "results.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{FLAG} {text}: there is no file {path}; expected the JSON file of an "
            "evaluation, or a run folder with results.json, each with :ROW if need be."
        )
    return path, row


def _evaluation(path, row):
    """What an evaluation is called, and the result of `igam_tf.evaluate`."""
    results = files.read_json(path, way_out="evaluate again") or {}
    if "outcomes" in results and row is None:
        # What igam_tf.evaluate returned, written as it is.
        return path.name, results
    rows = results.get("rows")
    if not isinstance(rows, dict) or not rows:
        raise ValueError(
            f"{path} has no rows: expected the results of igam-tf evaluate or of a run."
        )
    if row is None and len(rows) > 1:
        raise ValueError(
            f"{path} has the rows {', '.join(rows)}: expected one of them, as in "
            f"{path}:{next(iter(rows))}."
        )
    name = row or next(iter(rows))
    if name not in rows:
        raise ValueError(f"{path} has no row {name!r}: expected one of {list(rows)}.")
    held = rows[name] if isinstance(rows[name], dict) else {}
    evaluation = held.get("evaluation")
    if not isinstance(evaluation, dict) or not evaluation.get("outcomes"):
        raise ValueError(
            f"{path}: row {name!r} has no outcomes image by image; evaluate the model "
            "again, with this version of the package."
        )
    return f"{held.get('label', name)} ({path})", evaluation
