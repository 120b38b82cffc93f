"""Alignment and robustness, image by image: section 6 of the paper as a picture."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping, Sequence

import numpy as np

from igam_tf.evaluation import correlation
from igam_tf.reports.style import (
    FONT_SIZE,
    INK,
    PALETTE,
    SMALL_SIZE,
    dress,
    new_figure,
    panel_size,
    save_figure,
    wrap,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


# Inches.
_GAP, _LEFT, _RIGHT = 0.16, 0.5, 0.1
_TITLE, _TEXT, _FOOT = 0.17, 0.17, 0.4
_A_LINE = 4
# Parts of the images, each of at least so many.
_BINS, _IN_BIN = 6, 5
# Below so much of the robustness an alignment is rounding error.
_VANISHES = 1e-4
_NAMES = {
    "alignment": "alignment |⟨x, g⟩| / ‖g‖",
    "linearized": "linearised robustness (margin / ‖g‖)",
    "bound": "bound of Eq. 18",
}


def plot_alignment(
    measures: Mapping[str, dict],
    path: str | os.PathLike | None = None,
    *,
    norm: str = "l2",
    against: Sequence[str] = ("alignment", "linearized"),
) -> Figure:
    """Draws what Eq. 18 says of each image against the robustness that PGD measured.

    One column a model and one line a measure; the panels of a line have the same axes,
    which end at the 99th percentile. A dot is an image, the line joins the means of up
    to six parts of the images. Pearson's r and Spearman's rho stand above; where the
    measure vanishes, as the alignment of networks that normalise contrast does, it says
    so.

    Args:
        measures: dict from panel title to what
            `igam_tf.evaluation.measure_alignment` returns.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.
        norm: "l2" or "linf", in which it was measured, for the names of the axes.
        against: the measures, among "alignment", "linearized" and "bound".

    Returns:
        matplotlib Figure: a column wide with one or two models, else a page.

    Raises:
        ValueError: if there are no models, a measure is unknown, or a model has no
            image where it is finite.
    """
    points = {name: _points(measures, name) for name in against}
    titles = list(measures)
    groups = [titles[i : i + _A_LINE] for i in range(0, len(titles), _A_LINE)]
    panel, width = panel_size(len(groups[0]), margins=_LEFT + _RIGHT, gap=_GAP)
    filled = {title: wrap(title, int(panel * 14)) for title in titles}
    head = _TITLE * max(text.count("\n") + 1 for text in filled.values())
    line = _TEXT + panel + _FOOT
    height = len(groups) * (head + len(points) * line)
    figure = new_figure(width, height)
    bottom = height
    for group in groups:
        bottom -= head
        for number, (name, pairs) in enumerate(points.items()):
            bottom -= line
            for column, title in enumerate(group):
                left = _LEFT + column * (panel + _GAP)
                box = [left, bottom + _FOOT, panel, panel]
                axis = figure.add_axes(tuple(np.divide(box, [width, height] * 2)))
                if number == 0:
                    axis.set_title(filled[title], pad=13)
                colour = PALETTE[titles.index(title) % len(PALETTE)]
                _draw_panel(axis, pairs[title], colour, _ends(pairs))
                dress(axis)
                axis.tick_params(labelleft=column == 0)
            middle = (_LEFT + width - _RIGHT) / 2, bottom + _FOOT + panel / 2
            _labels(figure, name, norm, bottom, middle)
    if path is not None:
        save_figure(figure, path)
    return figure


def binned_means(
    a: np.ndarray, b: np.ndarray, num_bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Means of both measures over parts of the images, in the order of the first.

    Args:
        a, b: arrays (n,) without NaN.
        num_bins: parts of equally many images; fewer if there are fewer images.

    Returns:
        Two arrays of at most (num_bins,).
    """
    order = np.argsort(a, kind="stable")
    parts = np.array_split(order, min(num_bins, len(order)))
    mean_a, mean_b = ([values[part].mean() for part in parts] for values in (a, b))
    return np.array(mean_a), np.array(mean_b)


def _points(measures, name):
    """For each model an array (n, 2) of finite pairs."""
    if not measures:
        raise ValueError("no models: expected a dict from panel title to measures.")
    if name not in _NAMES:
        raise ValueError(f"against {name!r}: expected names among {tuple(_NAMES)}.")
    points = {}
    for title, found in measures.items():
        pairs = np.stack([found[name], found["measured"]], axis=1)
        points[title] = pairs[np.isfinite(pairs).all(axis=1)]
        if not len(points[title]):
            raise ValueError(
                f"{title!r}: no image has a finite {name} and a finite measured "
                "robustness."
            )
    return points


def _ends(pairs):
    """Where the axes end: one image far outside would leave the others no room."""
    ends = np.percentile(np.concatenate(list(pairs.values())), 99, axis=0) * 1.1
    return np.where(ends > 0, ends, 1.0)


def _draw_panel(axis, pairs, colour, ends):
    from matplotlib.ticker import MaxNLocator

    a, b = pairs.T
    axis.plot(a, b, ".", color=colour, markersize=4, alpha=0.5, markeredgewidth=0)
    axis.set(xlim=(0, ends[0]), ylim=(0, ends[1]))
    for side, end in zip((axis.xaxis, axis.yaxis), ends):
        ticks = MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(0, end)
        # One at the end would run into the first of the next panel.
        side.set_ticks([tick for tick in ticks if tick <= 0.9 * end])
    if a.max() <= _VANISHES * b.max():
        text = "vanishes for every image"
    else:
        found = correlation(a, b)
        text = f"r = {found['pearson']:.2f},  ρ = {found['spearman']:.2f}"
        means = binned_means(a, b, min(_BINS, len(a) // _IN_BIN or 1))
        axis.plot(*means, "o-", color=INK, linewidth=1, markersize=2.8)
    axis.annotate(
        text,
        (0.5, 1),
        xycoords="axes fraction",
        xytext=(0, 2),
        textcoords="offset points",
        ha="center",
        va="bottom",
        size=SMALL_SIZE,
        color=INK,
    )


def _labels(figure, name, norm, bottom, middle):
    """Names of the axes of one line of panels."""
    width, height = figure.get_size_inches()
    text = {"ha": "center", "size": FONT_SIZE, "color": INK}
    unit = {"l2": "L2", "linf": "Linf"}[norm]
    x, y = middle
    figure.text(x / width, (bottom + 0.04) / height, _NAMES[name], va="bottom", **text)
    figure.text(
        0.1 / width, y / height, f"measured robustness ({unit})",
        rotation=90, va="center", **text,
    )  # fmt: skip
