"""Curves of a run's trainings: losses by term, accuracy, cosine, time."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence

from igam_tf.reports.histories import PANELS, Training
from igam_tf.reports.style import (
    FONT_SIZE,
    INK,
    PAGE,
    PALETTE,
    SMALL_SIZE,
    dress,
    new_figure,
    plain,
    save_figure,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

# Inches.
_PLOT, _HEAD, _FOOT = 0.95, 0.2, 0.2
_LEFT, _RIGHT, _GAP = 0.36, 0.05, 0.4
# Of a legend: a line, and what stands around it.
_LINE, _LEGEND = 0.115, 0.06
_DASHES = ("-", "--", ":", "-.")


def plot_curves(
    trainings: Sequence[Training], path: str | os.PathLike | None = None
) -> Figure:
    """Draws a line of panels for each training: what it wrote down after every epoch.

    The panels are those of `igam_tf.reports.histories.PANELS`; one that no training
    has is left out. Each has axes of its own, since the terms of two losses have little
    in common.

    Args:
        trainings: of `read_histories`.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.

    Returns:
        matplotlib Figure, a page wide.

    Raises:
        ValueError: if there are no trainings.
    """
    if not trainings:
        raise ValueError(
            "no trainings: expected a run folder whose rows have their history.csv."
        )
    names = [name for name in PANELS if any(name in t.panels for t in trainings)]
    legends = [_LEGEND + _LINE * _longest(training) for training in trainings]
    lines = [_HEAD + _PLOT + _FOOT + legend for legend in legends]
    height = _HEAD + sum(lines)
    figure = new_figure(PAGE, height)
    width = (PAGE - _LEFT - _RIGHT + _GAP) / len(names) - _GAP
    top = height - _HEAD
    for training, line in zip(trainings, lines):
        figure.text(0.03 / PAGE, (top - 0.02) / height, plain(training.label), va="top",
                    size=FONT_SIZE, color=INK, weight="bold")  # fmt: skip
        for column, name in enumerate(names):
            left = _LEFT + column * (width + _GAP)
            box = (left / PAGE, (top - _HEAD - _PLOT) / height, width / PAGE,
                   _PLOT / height)  # fmt: skip
            if name in training.panels:
                _draw(figure.add_axes(box), training.panels[name])
            if training is trainings[0]:
                middle = (left + width / 2) / PAGE
                figure.text(middle, (height - 0.05) / height, PANELS[name], va="top",
                            ha="center", size=FONT_SIZE, color=INK)  # fmt: skip
        top -= line
    if path is not None:
        save_figure(figure, path)
    return figure


def _longest(training):
    return max(len(curves) for curves in training.panels.values())


def _draw(axis, curves):
    from matplotlib.ticker import MaxNLocator

    for number, (name, curve) in enumerate(curves.items()):
        axis.plot(
            *zip(*curve),
            _DASHES[number % len(_DASHES)],
            marker="." if len(curve) == 1 else "",
            color=PALETTE[number % len(PALETTE)],
            linewidth=1,
            label=name,
        )
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    dress(axis)
    axis.legend(
        loc="upper left",
        bbox_to_anchor=(0, -0.2),
        frameon=False,
        fontsize=SMALL_SIZE,
        labelcolor=INK,
        handlelength=1.8,
        labelspacing=0.15,
        borderpad=0,
        borderaxespad=0,
    )
