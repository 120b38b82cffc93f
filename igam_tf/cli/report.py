"""The command `igam-tf report`; imports TensorFlow only after parsing."""

import argparse
import pathlib
import sys
import tempfile
from collections.abc import Sequence

from igam_tf import files
from igam_tf.cli import commands
from igam_tf.cli.report_inputs import (
    chosen_rows,
    data_of,
    read_results,
    students_of,
)
from igam_tf.reports.names import FIGURES, HELD_OUT, OF_MODELS

_DESCRIPTION = """\
Makes the page, the table and the figures of a run from its results.json, its
histories and its saved students: report.html, table.md, and each figure as PNG and PDF,
in the run folder. Of the JSON file of an evaluation it makes the page, beside the file.
"""
_EXAMPLE = """\
figures:
  input_gradients   Figures 1, 4 and 6: test images and the input gradient of each model
  surfaces          Figure 7: loss and decision surfaces around one test image
  bars              Figure 5: clean and PGD-5 accuracy with 95 % intervals
  alignment         section 6: alignment against measured robustness
  curves            losses by term, accuracy, cosine and time of every training
  robustness        robust accuracy at every eps, of an evaluation by fmn or ddn
  class_pairs       success of a targeted attack (pgdK-t) for each pair of classes

Without --figures, what cannot be drawn (a student or the images are not here) is left
out, and the page says why.

examples:
  igam-tf report runs/cifar10_to_cifar100 --data_dir=DIR --figures=surfaces
  igam-tf report model.results.json
"""
# Drawn where an attack that measures it was run.
_MEASURED = ("robustness", "class_pairs")


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
        prog="igam-tf report", description=_DESCRIPTION, epilog=_EXAMPLE
    )
    add = parser.add_argument
    add("folder", metavar="RUN_FOLDER", type=pathlib.Path,
        help="folder of a finished run.py, or JSON file of an evaluation")  # fmt: skip
    add("--data_dir", help="folder of prepared data; that of the run if left out")
    add("--nodownload", dest="download", action="store_false",
        help="never download data")  # fmt: skip
    add("--figures", type=_figures, metavar="LIST",
        help="separated by commas (default: all that can be drawn)")  # fmt: skip
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
    is_folder = not options.folder.is_file()
    results = read_results(options.folder, is_folder)
    rows = chosen_rows(results, options.rows)
    if not is_folder:
        _check_figures_of_file(options.figures or ())
    left_out = []
    try:
        models, split = _at_hand(options, results, rows, is_folder)
    except (ValueError, OSError) as error:
        if options.figures is not None:
            raise
        models, split = {}, None
        left_out.append(f"Input gradients, surfaces and adversarial images: {error}")
    drawn = {**results, "rows": rows}
    if is_folder:
        written = _report_folder(options, results, drawn, models, split, left_out)
    else:
        written = _report_file(options, drawn, models, split, left_out)
    for told in left_out:
        print(f"left out: {told}", file=sys.stderr, flush=True)
    print(*written, sep="\n", flush=True)


def _at_hand(options, results, rows, is_folder):
    """The students of the rows and test images, if a figure asked for needs them.

    Returns:
        Tuple (dict from row to model, `Split`), or ({}, None).
    """
    asked = FIGURES if options.figures is None else options.figures
    if not set(asked) & set(OF_MODELS):
        return {}, None
    students = students_of(options.folder, results, rows, is_folder)
    target, place, own = data_of(results, rows)

    from igam_tf import data
    from igam_tf.checkpoints import load_classifier
    from igam_tf.models.loading import load_keras

    count = max(options.examples, options.alignment_examples, 100)
    fraction = (results.get("settings") or {}).get(HELD_OUT)
    task = data.read(
        target,
        options.data_dir or place,
        train_examples=None if fraction else 1,
        test_examples=1 if fraction else count,
        download=options.download,
        **own,
    )
    if fraction:
        seed = results["settings"].get("split_seed", 0)
        task = data.hold_out(task, fraction, seed=seed, test_examples=count)
    if is_folder:
        return {name: load_keras(path) for name, path in students.items()}, task.test
    reads = {"image_shape": task.image_shape, **results.get("reads", {})}
    models = {n: load_classifier(path, **reads) for n, path in students.items()}
    return models, task.test


def _report_folder(options, results, drawn, models, split, left_out):
    """Table, figures and page of a run folder: their paths."""
    from igam_tf import reports

    folder = options.folder
    figures = options.figures
    if figures is None:
        figures = [name for name in FIGURES if models or name not in OF_MODELS]
        figures = [name for name in figures if _is_measured(name, drawn)]
        if not reports.read_histories(drawn, folder):
            figures.remove("curves")
            left_out.append(f"Curves: no row has its history.csv in {folder}.")
    table = folder / "table.md"
    files.write_text(table, reports.format_table(results))
    paths = reports.write_figures(
        drawn,
        models,
        split,
        folder,
        figures=figures,
        examples=options.examples,
        alignment_examples=options.alignment_examples,
        seed=options.seed,
    )
    page = _write_page(folder / "report.html", results, drawn, models, split, left_out,
                       folder)  # fmt: skip
    return [table, *paths, page]


def _report_file(options, drawn, models, split, left_out):
    """The page of an evaluation, beside its JSON file; figures are inside only."""
    from igam_tf import reports

    figures = options.figures
    if figures is None:
        figures = ["input_gradients", "surfaces"] if models else []
        figures += [name for name in _MEASURED if _is_measured(name, drawn)]
    with tempfile.TemporaryDirectory() as place:
        if figures:
            reports.write_figures(
                drawn, models, split, place,
                figures=figures,
                examples=options.examples,
                alignment_examples=options.alignment_examples,
                seed=options.seed,
            )  # fmt: skip
        page = options.folder.with_suffix(".html")
        return [_write_page(page, drawn, drawn, models, split, left_out, place)]


def _check_figures_of_file(figures):
    """Refuses figures that an evaluation has nothing for."""
    other = [name for name in figures if name not in (*OF_MODELS, *_MEASURED)]
    if other:
        raise ValueError(
            f"--figures={','.join(other)}: drawn of a run folder only; of an "
            f"evaluation expected names among {','.join((*OF_MODELS, *_MEASURED))}."
        )


def _is_measured(figure, results):
    """Whether the results have what a figure needs that only some attacks measure."""
    from igam_tf.reports import class_pairs, robustness

    if figure == "robustness":
        return bool(robustness.measured(results))
    return figure != "class_pairs" or bool(class_pairs.targeted(results))


def _write_page(path, results, drawn, models, split, left_out, folder):
    from igam_tf import reports

    examples = reports.examples_of(drawn, models, split) if models else None
    if not models and not left_out:
        left_out.append("Adversarial images: they are made with the figures of models.")
    return reports.write_page(
        path, results, folder, examples=examples, left_out=left_out
    )


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
