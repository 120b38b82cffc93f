"""Bars of accuracies with their intervals: Figure 5 of the paper."""

from __future__ import annotations

import os
import typing
from collections.abc import Sequence

from igam_tf.reports.names import attack_title
from igam_tf.reports.style import (
    COLUMN,
    FONT_SIZE,
    INK,
    PALETTE,
    SMALL_SIZE,
    dress,
    new_figure,
    save_figure,
    wrap,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


# Inches.
_BAR, _GAP, _HEAD, _FOOT = 0.135, 0.12, 0.28, 0.38
# Characters of a model's name on one line.
_NAME = 16
# Ends of the axis, in percent; each is a multiple of five ticks.
_ENDS = (10, 25, 50, 100)


def plot_bars(
    results: dict,
    path: str | os.PathLike | None = None,
    *,
    attacks: Sequence[str] = ("clean", "pgd5"),
) -> Figure:
    """Draws a group of bars for each model: its accuracy under each attack.

    Whiskers are 95 % intervals; values stand beside the bars, in percent. The axis ends
    at 100 %, or sooner where no interval comes near. A bar that was not measured is
    left out, and says so.

    Args:
        results: dict as of `results.json`, see `format_table`.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.
        attacks: names of attacks, at most as many as the palette has colours.

    Returns:
        matplotlib Figure, one column wide.

    Raises:
        ValueError: if there are no rows, no or too many attacks, or an attack that no
            row has.
    """
    rows = list(results["rows"].values())
    attacks = tuple(attacks)
    _check(rows, attacks)
    group = len(attacks) * _BAR + _GAP
    height = _HEAD + len(rows) * group + _FOOT
    names = [wrap(row["label"], _NAME) for row in rows]
    longest = max(len(line) for name in names for line in name.splitlines())
    left = (0.12 + 0.065 * longest) / COLUMN
    figure = new_figure(COLUMN, height)
    box = (left, _FOOT / height, 0.97 - left, 1 - (_HEAD + _FOOT) / height)
    axis = figure.add_axes(box)
    end = _end(rows, attacks)
    for place, attack in enumerate(attacks):
        for index, row in enumerate(rows):
            y, entry = index * group + place * _BAR, _entry(row, attack)
            _draw_bar(axis, y, entry, PALETTE[place], gap=0.015 * end)
    middle = (len(attacks) - 1) * _BAR / 2
    axis.set_yticks([index * group + middle for index in range(len(rows))], names)
    axis.set_ylim(len(rows) * group - _GAP / 2 - _BAR / 2, -(_GAP + _BAR) / 2)
    # Room for the number beside the longest bar.
    axis.set_xlim(0, 1.17 * end)
    axis.set_xticks(range(0, end + 1, end // 5))
    axis.set_xlabel("accuracy (%)", labelpad=2)
    dress(axis)
    axis.spines["bottom"].set_bounds(0, end)
    axis.tick_params(axis="y", length=0, labelsize=FONT_SIZE)
    _legend(axis, attacks)
    if path is not None:
        save_figure(figure, path)
    return figure


def _entry(row, attack):
    return row["evaluation"]["attacks"].get(attack)


def _end(rows, attacks):
    """Where the axis ends: beyond all intervals, in percent."""
    entries = [_entry(row, attack) for row in rows for attack in attacks]
    highest = max(100 * entry["interval_95"][1] for entry in entries if entry)
    return next((end for end in _ENDS if end >= highest), _ENDS[-1])


def _draw_bar(axis, y, entry, colour, *, gap):
    if entry is None:
        axis.text(gap, y, "not measured", va="center", size=SMALL_SIZE, color=INK)
        return
    value = 100 * entry["accuracy"]
    low, high = (100 * end for end in entry["interval_95"])
    axis.barh(y, value, height=0.9 * _BAR, color=colour, linewidth=0)
    axis.errorbar(
        value,
        y,
        xerr=[[value - low], [high - value]],
        ecolor=INK,
        elinewidth=0.8,
        capsize=1.5,
        capthick=0.8,
        fmt="none",
    )
    axis.text(high + gap, y, f"{value:.1f}", va="center", size=SMALL_SIZE, color=INK)


def _legend(axis, attacks):
    from matplotlib.patches import Patch

    axis.legend(
        handles=[
            Patch(color=colour, label=attack_title(attack))
            for attack, colour in zip(attacks, PALETTE)
        ],
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderpad=0.2,
        borderaxespad=0.2,
        ncols=len(attacks),
        frameon=False,
        fontsize=FONT_SIZE,
        labelcolor=INK,
        handlelength=1,
        handleheight=0.8,
        columnspacing=1.2,
    )


def _check(rows, attacks):
    if not rows:
        raise ValueError("results have no rows: expected at least one model.")
    if not 0 < len(attacks) <= len(PALETTE):
        raise ValueError(
            f"attacks are {attacks}: expected one to {len(PALETTE)} names."
        )
    known = dict.fromkeys(a for row in rows for a in row["evaluation"]["attacks"])
    missing = [attack for attack in attacks if attack not in known]
    if missing:
        raise ValueError(
            f"attacks {missing} are in no row: expected names among {list(known)}, or "
            "an evaluation with these attacks."
        )
