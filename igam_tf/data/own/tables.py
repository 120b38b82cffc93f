"""A CSV or Parquet table of paths and labels."""

import collections
import csv
import decimal
import functools
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from igam_tf.data.own import describing, splits
from igam_tf.data.own.listing import Files, Listing
from igam_tf.data.own.names import SPLITS, TEST, TRAIN
from igam_tf.data.own.options import Options

#: Names of columns, in small letters; the first that is there is taken.
PATHS = ("path", "file", "filename", "file_name", "filepath", "image_path", "image")
LABELS = ("label", "class", "class_name", "category", "target")
SPLITS_COLUMNS = ("split", "subset")

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Whole numbers above it are left as they are written.
_LARGEST = 10**15


def listing(name: str, path: pathlib.Path, options: Options) -> Listing:
    """The images that a table names; their paths are relative to its folder.

    Args:
        name: short name, for errors.
        path: .csv (commas), .tsv (tabs) or .parquet, with a line of column names.
        options: `Options`.

    Raises:
        ValueError: if columns are missing, a path is empty or there twice, a split has
            an unknown name, classes are fewer than two, differ between the splits or
            are one number in two spellings; or pyarrow is not installed.
        OSError: if it cannot be read.
    """
    columns = _parquet(path) if path.suffix.lower() == ".parquet" else _text(path)
    paths = _column(name, columns, PATHS, "the path of an image")
    labels = _column(name, columns, LABELS, "its class")
    in_splits = _column(name, columns, SPLITS_COLUMNS, "", needed=False)
    _check_rows(name, path.parent, paths, labels)
    chosen = None if in_splits is None else _by_split(name, in_splits, labels)
    # A class that only rows of another split have is none of these data.
    used = range(len(labels)) if chosen is None else np.concatenate(chosen)
    class_names, number = _classes(name, [labels[i] for i in used])
    describing.check_classes(name, class_names)
    numbers = np.array([number.get(label, -1) for label in labels], np.int32)
    if chosen is None:
        parts = splits.asked_for(name, numbers, paths, class_names, options)
    else:
        spread = functools.partial(_spread, numbers, paths, options)
        parts = spread(chosen[0]), spread(chosen[1])
    train, test = (Files([paths[i] for i in part], numbers[part]) for part in parts)
    return Listing(name, path.parent, class_names, train, test, options)


def _by_split(name, in_splits, labels):
    """Indices of the rows of both splits, as the table's column says."""
    kinds = [kind.lower() for kind in in_splits]
    unknown = sorted(set(kinds) - set(SPLITS))
    test_kind = next((kind for kind in TEST if kind in kinds), None)
    train = np.array([i for i, kind in enumerate(kinds) if kind in TRAIN], int)
    if unknown or test_kind is None or not len(train):
        found = describing.shown(unknown or sorted(set(kinds)))
        raise ValueError(
            f"{name}: its column of splits holds {found}; expected "
            '"train" and "test" (or "val") in all rows, or no such column: rename '
            "them, or take those rows out of the table."
        )
    test = np.array([i for i, kind in enumerate(kinds) if kind == test_kind], int)
    describing.check_same_classes(
        name, [labels[i] for i in train], [labels[i] for i in test]
    )
    return train, test


def _spread(numbers, paths, options, part):
    """Rows of a split, in an order of which each beginning has all classes."""
    keys = [paths[i] for i in part]
    return part[splits.spread(numbers[part], keys, seed=options.split_seed)]


def _classes(name: str, labels: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Class names in sorted order, and the class number of each label.

    Numbers are sorted by their value, and 2.0, as a column of floats has it, is 2.
    """
    found = sorted(set(labels))
    if not all(map(_NUMBER.fullmatch, found)):
        return found, {label: i for i, label in enumerate(found)}
    by_value: dict[decimal.Decimal, list[str]] = {}
    for label in found:
        by_value.setdefault(decimal.Decimal(label), []).append(label)
    for same in by_value.values():
        if len(same) > 1:
            raise ValueError(
                f"{name}: the labels {describing.shown(same)} are one number; expected "
                "one spelling of each class."
            )
    values = sorted(by_value)
    names = [_shown_number(by_value[value][0], value) for value in values]
    return names, {by_value[value][0]: i for i, value in enumerate(values)}


def _shown_number(label, value):
    """A whole float as an integer; anything else as it is written."""
    is_float = not label.lstrip("+-").isdecimal()
    if is_float and value == value.to_integral_value() and abs(value) < _LARGEST:
        return str(int(value))
    return label


def _check_rows(name, folder, paths, labels):
    for row, values in enumerate(zip(paths, labels), start=1):
        if not all(values):
            raise ValueError(
                f"{name}: row {row} has the path {values[0]!r} and the label "
                f"{values[1]!r}; expected both."
            )
    # One file may be written in several ways: a.png, ./a.png, /data/a.png.
    spellings = collections.defaultdict(list)
    for path in paths:
        spellings[os.path.normpath(os.path.join(folder, path))].append(path)
    twice = [found for found in spellings.values() if len(found) > 1]
    if twice:
        shown = describing.shown(
            [path for same in twice for path in dict.fromkeys(same)]
        )
        raise ValueError(
            f"{name}: {shown} is there more than once; an image in "
            "both splits would be known to the model that it tests. Keep one row each."
        )


def _column(name, columns, names, what, needed=True):
    """The values of the first of these columns, without the spaces around them."""
    by_name = {column.strip().lower(): values for column, values in columns.items()}
    for column in names:
        if column in by_name:
            return [value.strip() for value in by_name[column]]
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
