"""The command `python -m igam_tf.reports`; imports TensorFlow only after parsing."""

import argparse
import json
import pathlib
from collections.abc import Sequence

from igam_tf import files
from igam_tf.cli import commands
from igam_tf.reports.names import FIGURES

_DESCRIPTION = """\
Makes the table and the figures of a run from its results.json and its saved students:
table.md, and each figure as PNG and PDF, in the run folder.
"""
_EXAMPLE = """\
figures:
  input_gradients   Figures 1, 4 and 6: test images and the input gradient of each model
  surfaces          Figure 7: loss and decision surfaces around one test image
  bars              Figure 5: clean and PGD-5 accuracy with 95 % intervals
  alignment         section 6: alignment against measured robustness

example:
  python -m igam_tf.reports runs/cifar10_to_cifar100 --data_dir=DIR --figures=surfaces
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the reports of one run.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        int: exit status, 0 or 1.
    """
    options = _parser().parse_args(arguments)
    return commands.run(
        lambda: _run(options), interrupted="the same command starts again"
    )


def _parser():
    parser = commands.Parser(
        prog="python -m igam_tf.reports",
        description=_DESCRIPTION,
        epilog=_EXAMPLE,
    )
    add = parser.add_argument
    add("folder", metavar="RUN_FOLDER", type=pathlib.Path,
        help="folder of a finished run.py")  # fmt: skip
    add("--data_dir", help="folder of prepared data; that of the run if left out")
    add("--nodownload", dest="download", action="store_false",
        help="never download data")  # fmt: skip
    add("--figures", default=",".join(FIGURES), type=_figures, metavar="LIST",
        help="separated by commas (default: all)")  # fmt: skip
    add("--rows", type=lambda text: text.split(","), metavar="LIST",
        help="names of rows to draw, such as standard,igam (default: all)")  # fmt: skip
    add("--examples", default=8, type=_count, metavar="N",
        help="rows of input gradients (default: 8)")  # fmt: skip
    add("--alignment_examples", default=100, type=_count, metavar="N",
        help="test images of the alignment figure (default: 100)")  # fmt: skip
    add("--seed", default=0, type=int, help="of random directions and starts")
    return parser


def _run(options):
    """Writes everything, and prints the paths."""
    results = _read_results(options.folder)
    rows = _chosen_rows(results, options.rows)
    students = _students(options.folder, rows)

    from igam_tf import data, reports
    from igam_tf.experiment.settings import own_options
    from igam_tf.models.loading import load_keras

    task = data.read(
        results["settings"]["target"],
        options.data_dir or results["settings"].get("data_dir") or None,
        train_examples=1,
        test_examples=max(options.examples, options.alignment_examples, 100),
        download=options.download,
        **own_options(results["settings"], "target"),
    )
    models = {name: load_keras(path) for name, path in students.items()}
    table = options.folder / "table.md"
    files.write_text(table, reports.format_table(results))
    figures = reports.write_figures(
        {**results, "rows": rows},
        models,
        task.test,
        options.folder,
        figures=options.figures,
        examples=options.examples,
        alignment_examples=options.alignment_examples,
        seed=options.seed,
    )
    print(*[table, *figures], sep="\n", flush=True)


def _read_results(folder):
    if not folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {folder}: expected the run folder of a finished "
            "run.py."
        )
    path = folder / "results.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{folder} has no results.json: the run is not finished, or this is "
            "another folder; run its run.py command again to finish it."
        )
    try:
        results = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(
            f"{path} is not JSON ({error}): remove it, and run its run.py command "
            "again."
        ) from None
    if not isinstance(results, dict):
        results = {}
    missing = [key for key in ("title", "rows", "settings") if not results.get(key)]
    if missing:
        raise ValueError(
            f"{path} has no {', '.join(missing)}: expected the results of a run.py."
        )
    return results


def _chosen_rows(results, names):
    rows = results["rows"]
    unknown = [name for name in names or () if name not in rows]
    if unknown:
        raise ValueError(f"--rows: {unknown} not among the rows {list(rows)}.")
    return {name: rows[name] for name in names or rows}


def _students(folder, rows):
    """Path of each row's student; all of them must exist."""
    paths = {
        name: folder / row.get("student", f"{name}/student.keras")
        for name, row in rows.items()
    }
    missing = [str(path) for path in paths.values() if not path.exists()]
    if missing:
        raise FileNotFoundError(
            f"students are missing: {', '.join(missing)}; leave out their rows by "
            "--rows, or train them by the run's command."
        )
    return paths


def _figures(text):
    names = text.split(",")
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{', '.join(unknown)}: expected names among {','.join(FIGURES)}"
        )
    return names


def _count(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of 1 or more")
    return int(text)
