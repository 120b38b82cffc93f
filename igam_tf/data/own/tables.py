"""A CSV or Parquet table of paths and labels."""

import collections
import csv
import pathlib
from collections.abc import Sequence

import numpy as np

from igam_tf.data.own import describing, splits
from igam_tf.data.own.listing import Files, Listing
from igam_tf.data.own.names import TEST, TRAIN
from igam_tf.data.own.options import Options

#: Names of columns, in small letters; the first that is there is taken.
PATHS = ("path", "file", "filename", "file_name", "filepath", "image_path", "image")
LABELS = ("label", "class", "class_name", "category", "target")
SPLITS = ("split", "subset")


def listing(name: str, path: pathlib.Path, options: Options) -> Listing:
    """The images that a table names; their paths are relative to its folder.

    Args:
        name: short name, for errors.
        path: .csv (commas), .tsv (tabs) or .parquet, with a line of column names.
        options: `Options`.

    Raises:
        ValueError: if columns are missing, a path is empty or there twice, classes are
            fewer than two or differ between the splits; or pyarrow is not installed.
        OSError: if it cannot be read.
    """
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    paths = _column(name, columns, PATHS, "the path of an image")
    labels = _column(name, columns, LABELS, "its class")
    in_splits = _column(name, columns, SPLITS, "", needed=False)
    _check_rows(name, paths, labels)
    class_names = _ordered(labels)
    describing.check_classes(name, class_names)
    numbers = np.array([class_names.index(label) for label in labels], np.int32)
    if in_splits is None:
        parts = splits.asked_for(name, numbers, paths, class_names, options)
    else:
        parts = _by_split(name, in_splits, paths, labels, numbers, options)
    train, test = (Files([paths[i] for i in part], numbers[part]) for part in parts)
    return Listing(name, path.parent, class_names, train, test, options)


def _by_split(name, in_splits, paths, labels, numbers, options):
    """Indices of the rows of both splits, as the table's column says."""
    kinds = [kind.lower() for kind in in_splits]
    test_kind = next((kind for kind in TEST if kind in kinds), None)
    train = np.array([i for i, kind in enumerate(kinds) if kind in TRAIN], int)
    if test_kind is None or not len(train):
        raise ValueError(
            f"{name}: its column of splits holds {describing.shown(sorted(set(kinds)))}"
            '; expected "train" and "test" (or "val"), or no such column.'
        )
    test = np.array([i for i, kind in enumerate(kinds) if kind == test_kind], int)
    describing.check_same_classes(
        name, [labels[i] for i in train], [labels[i] for i in test]
    )
    return [
        part[
            splits.spread(
                numbers[part], [paths[i] for i in part], seed=options.split_seed
            )
        ]
        for part in (train, test)
    ]


def _ordered(labels: Sequence[str]) -> list[str]:
    """Class names in sorted order; numbers by their value."""
    names = sorted(set(labels))
    if all(name.isdigit() for name in names):
        names.sort(key=int)
    return names


def _check_rows(name, paths, labels):
    for row, values in enumerate(zip(paths, labels), start=1):
        if not all(value.strip() for value in values):
            raise ValueError(
                f"{name}: row {row} has the path {values[0]!r} and the label "
                f"{values[1]!r}; expected both."
            )
    twice = [path for path, n in collections.Counter(paths).items() if n > 1]
    if twice:
        raise ValueError(
            f"{name}: {describing.shown(twice)} is there more than once; an image in "
            "both splits would be known to the model that it tests. Keep one row each."
        )


def _column(name, columns, names, what, needed=True):
    by_name = {column.strip().lower(): values for column, values in columns.items()}
    for column in names:
        if column in by_name:
            return by_name[column]
    if not needed:
        return None
    raise ValueError(
        f"{name}: no column with {what} among {describing.shown(list(columns))}; "
        f"expected a first line with column names, one of them {' or '.join(names)}."
    )


def _text(path):
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head, *rows = list(csv.reader(file, delimiter=delimiter)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no text table in UTF-8 ({error}).") from error
    rows = [row for row in rows if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise ValueError(
                f"{path}: row {number} has {len(row)} values, and there are "
                f"{len(head)} column names ({describing.shown(head)})."
            )
    return {column: [row[i] for row in rows] for i, column in enumerate(head)}


def _parquet(path):
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise ValueError(
            f"{path}: Parquet needs pyarrow, which is not installed: pip install "
            "pyarrow, or save the table as .csv."
        ) from error
    try:
        table = parquet.read_table(path)
    except ArrowException as error:
        raise ValueError(f"{path} is no Parquet table ({error}).") from error
    return {
        column: ["" if value is None else str(value) for value in values]
        for column, values in table.to_pydict().items()
    }
