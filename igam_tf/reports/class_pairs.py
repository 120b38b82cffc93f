"""Success rates of targeted attacks by class pair: from the counts of an evaluation."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence

import numpy as np

from igam_tf.evaluation.class_pairs import success_rates
from igam_tf.reports.names import attack_title, titles
from igam_tf.reports.style import (
    FAINT,
    FONT_SIZE,
    INK,
    dress,
    new_figure,
    plain,
    save_figure,
    wrap,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches around the panels and between them; names of classes need more than numbers.
_EDGE, _EDGE_WITH_NAMES, _RIGHT, _GAP, _TOP = 0.45, 0.95, 0.6, 0.15, 0.45
_COLUMNS, _SIDE = 3, 1.75
_LARGE_SIDE = 2.6
# With more classes a number in each field could not be read, nor all names.
_MOST_NUMBERS, _MOST_NAMES = 10, 20
_NUMBER_SIZE = 5.5


def plot_class_pairs(
    results: dict,
    path: str | os.PathLike | None = None,
    *,
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draws how often images of each class were led to each target class, in percent.

    A panel for each model and targeted attack: a row of fields for each true class, a
    column for each target. Empty fields are a class as its own target, and classes of
    which the model gets no image right.

    Args:
        results: dict as of `results.json`, see `format_table`; rows without a targeted
            attack are left out.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.
        class_names: names of the classes; None takes those that the results have of
            data of one's own, or shows numbers.

    Returns:
        matplotlib Figure, at most as wide as the page.

    Raises:
        ValueError: if no row has class pairs, or there are too few names.
    """
    panels = targeted(results)
    if not panels:
        raise ValueError(
            "no row has class pairs: expected an evaluation with a targeted attack, "
            "such as --attacks=clean,pgd20-t."
        )
    if class_names is None:
        class_names = results.get("data", {}).get("target", {}).get("classes")
    _check_names(class_names, panels)
    figure, axes = _grid(len(panels), class_names is not None)
    for number, (title, entry) in enumerate(panels.items()):
        axis = axes[number]
        _draw(axis, entry, class_names)
        axis.set_title(wrap(title, 26), pad=4)
        dress(axis, spines=("left", "bottom", "top", "right"))
        if number % _COLUMNS:
            axis.tick_params(labelleft=False)
        else:
            axis.set_ylabel("true class", labelpad=2)
    _add_scale(figure, axes[:_COLUMNS][-1])
    if path is not None:
        save_figure(figure, path)
    return figure


def targeted(results: dict) -> dict[str, dict]:
    """The entries of targeted attacks of all rows, by a title for each."""
    titled = titles(results["rows"])
    return {
        f"{titled[key]}, {attack_title(name)}": entry
        for key, row in results["rows"].items()
        for name, entry in row["evaluation"]["attacks"].items()
        if "class_pairs" in entry
    }


def _check_names(class_names, panels):
    most = max(len(entry["class_pairs"]["num_images"]) for entry in panels.values())
    if class_names is not None and len(class_names) < most:
        raise ValueError(
            f"{len(class_names)} class names for {most} classes: expected one for each."
        )


def _grid(count, with_names):
    """A figure of square panels in rows of three at most, and their axes."""
    columns = min(count, _COLUMNS)
    rows = -(-count // columns)
    edge = _EDGE_WITH_NAMES if with_names else _EDGE
    side = _LARGE_SIDE if columns == 1 else _SIDE
    width = edge + columns * (side + _GAP) + _RIGHT
    height = rows * (side + _TOP + edge)
    figure = new_figure(width, height)
    axes = []
    for number in range(count):
        row, column = divmod(number, columns)
        left = edge + column * (side + _GAP)
        bottom = height - (row + 1) * (side + _TOP + edge) + edge
        place = (left / width, bottom / height, side / width, side / height)
        axes.append(figure.add_axes(place))
    return figure, axes


def _draw(axis, entry, class_names):
    rates = 100 * success_rates(entry)
    targets = entry["class_pairs"]["targets"]
    axis.imshow(
        np.ma.masked_invalid(rates), cmap="cividis", vmin=0, vmax=100, aspect="auto"
    )
    axis.set_facecolor("white")
    _label(axis.set_xticks, targets, class_names, rotation=90 if class_names else 0)
    _label(axis.set_yticks, range(len(rates)), class_names)
    axis.set_xlabel("target class", labelpad=2)
    if max(rates.shape) > _MOST_NUMBERS:
        return
    for place, rate in np.ndenumerate(rates):
        if np.isnan(rate):
            axis.text(*place[::-1], "–", size=_NUMBER_SIZE, color=FAINT,
                      ha="center", va="center")  # fmt: skip
        else:
            # Dark fields are those of low rates.
            color = "white" if rate < 50 else INK
            axis.text(*place[::-1], f"{rate:.0f}", size=_NUMBER_SIZE, color=color,
                      ha="center", va="center")  # fmt: skip


def _label(set_ticks, classes, class_names, **look):
    """Ticks for all classes, or, of many, for about as many as can be read."""
    step = -(-len(classes) // (_MOST_NAMES if class_names else _MOST_NUMBERS))
    places = range(0, len(classes), step)
    names = [plain(class_names[c]) if class_names else str(c) for c in classes[::step]]
    set_ticks(places, names, **look)


def _add_scale(figure, axis):
    left, bottom, width, height = axis.get_position().bounds
    inch = 1 / figure.get_figwidth()
    place = (left + width + 0.1 * inch, bottom, 0.1 * inch, height)
    scale = figure.colorbar(axis.images[0], cax=figure.add_axes(place))
    scale.set_label("success (%)", fontsize=FONT_SIZE, color=INK)
    scale.outline.set_visible(False)
    dress(scale.ax, spines=())
