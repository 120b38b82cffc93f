"""Puts the page of a run together."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

from igam_tf import files
from igam_tf.reports.adversarial import AdversarialExamples
from igam_tf.reports.histories import PANELS, Training, read_histories
from igam_tf.reports.page import pictures, tables
from igam_tf.reports.page.charts import count_of_epochs, line_chart
from igam_tf.reports.page.html import document, element
from igam_tf.reports.table import (
    beside_lines,
    captions,
    panel_lines,
    teacher_lines,
)
from igam_tf.reports.transfer import sentences, transfer

_STYLE = pathlib.Path(__file__).with_name("page.css")


def write_page(
    path: str | os.PathLike,
    results: dict,
    folder: str | os.PathLike | None = None,
    *,
    examples: AdversarialExamples | None = None,
    class_names: Sequence[str] | None = None,
    left_out: Iterable[str] = (),
) -> pathlib.Path:
    """Writes the page of a run, with the histories and figures of its folder.

    Args:
        path: the file.
        results: dict as of `results.json`.
        folder: the run folder, or None of an evaluation alone.
        examples: of `igam_tf.reports.adversarial_examples`, or None.
        class_names: names of the classes; None takes those that the results have of
            data of one's own, or shows numbers.
        left_out: sentences that say what the page lacks, and why.

    Returns:
        The path.

    Raises:
        ValueError: if there are no rows, or a history is damaged.
    """
    figures, trainings = {}, []
    if class_names is None:
        class_names = results.get("data", {}).get("target", {}).get("classes")
    if folder is not None:
        trainings = read_histories(results, folder)
        drawn = {n: pathlib.Path(folder) / f"{n}.png" for n in pictures.FIGURES}
        figures = {n: file.read_bytes() for n, file in drawn.items() if file.is_file()}
    text = format_page(
        results,
        trainings=trainings,
        figures=figures,
        examples=examples,
        class_names=class_names,
        left_out=left_out,
    )
    files.write_text(path, text)
    return pathlib.Path(path)


def format_page(
    results: dict,
    *,
    trainings: Sequence[Training] = (),
    figures: Mapping[str, bytes] | None = None,
    examples: AdversarialExamples | None = None,
    class_names: Sequence[str] | None = None,
    left_out: Iterable[str] = (),
) -> str:
    """A run as one HTML page that refers to nothing outside of it.

    Args:
        results: dict as of `results.json`, see `igam_tf.reports.format_table`.
        trainings: of `read_histories`.
        figures: dict from a name of `pictures.FIGURES` to the contents of a PNG file.
        examples, class_names, left_out: as of `write_page`.

    Returns:
        HTML.

    Raises:
        ValueError: if there are no rows.
    """
    rows = results["rows"]
    if not rows:
        raise ValueError("results have no rows: expected at least one model.")
    figures = figures or {}
    sections = {
        "Results": _results(results),
        "What it means": _meaning(results),
        "Corruptions": list(tables.corruptions(rows)),
        "Warnings": list(tables.warnings(rows)),
        "Training": _curves(trainings),
        **{
            title: [pictures.figure(name, figures[name])] if name in figures else []
            for name, (title, _) in pictures.FIGURES.items()
        },
        "Adversarial images": _examples(examples, class_names),
        "Left out": [element("ul", (element("li", told) for told in left_out))],
        "Settings": list(tables.settings(results)),
        "Versions": list(tables.versions(results)),
    }
    if not list(sections["Left out"][0]):
        del sections["Left out"]
    shown = {title: content for title, content in sections.items() if content}
    return document(
        results["title"],
        _STYLE.read_text(encoding="utf-8"),
        element("header", element("h1", results["title"]), _contents(shown)),
        element("main", (_section(*item) for item in shown.items())),
    )


def _contents(sections):
    links = (
        element("li", element("a", title, href=f"#{_anchor(title)}"))
        for title in sections
    )
    return element("nav", element("ul", links), aria_label="Contents")


def _section(title, content):
    anchor = _anchor(title)
    return element(
        "section",
        element("h2", title, id=anchor),
        content,
        aria_labelledby=anchor,
    )


def _anchor(title):
    return title.lower().replace(" ", "-")


def _results(results):
    rows, paper = results["rows"], results.get("paper") or {}
    notes = [
        *captions(rows, paper),
        *beside_lines(rows),
        *panel_lines(rows),
        *teacher_lines(results),
    ]
    # The panel has a section of its own.
    kept = (note for note in notes if not note.startswith("Masking panel"))
    return [
        tables.accuracies(results),
        tables.statistics(results),
        element("ul", (element("li", note) for note in kept), class_="notes"),
    ]


def _meaning(results):
    told = sentences(transfer(results))
    return [element("p", _with_flags(sentence)) for sentence in told]


def _with_flags(sentence):
    """The sentence, with flags set as code."""
    for part in re.split(r"(--\S+[^\s.])", sentence):
        yield element("code", part) if part.startswith("--") else part


def _curves(trainings):
    main = [t for t in trainings if t.is_main]
    others = [t for t in trainings if not t.is_main]
    found = [_training(training) for training in main]
    if others:
        summary = element("summary", "Controls, and what was trained before the rows")
        found.append(element("details", summary, map(_training, others)))
    return found


def _training(training):
    charts = (
        line_chart(PANELS[name], curves) for name, curves in training.panels.items()
    )
    epochs = element("small", f" {count_of_epochs(training.num_epochs)}")
    return element(
        "article",
        element("h3", training.label, epochs),
        element("div", charts, class_="charts", tabindex="0"),
    )


def _examples(examples, class_names):
    if examples is None:
        return []
    names = list(class_names or ()) or None
    told = (
        f"Test images, the first of each class among them, under {examples.attack}. "
        f"Below each, what it changed, {examples.magnification:.3g} times as strong: "
        "grey is no change."
    )
    return [element("p", told), pictures.examples(examples, names)]
