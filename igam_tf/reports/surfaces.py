"""Draws the loss and decision surfaces (Figure 7) that `landscape` computes."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from igam_tf.attacks.fractions import fraction
from igam_tf.reports.landscape import loss_surface
from igam_tf.reports.style import (
    FAINT,
    FONT_SIZE,
    INK,
    PALETTE,
    SMALL_SIZE,
    dress,
    new_figure,
    panel_size,
    plain,
    save_figure,
    wrap,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


# Inches.
_GAP, _LEFT, _BAR, _TITLE, _FOOT = 0.1, 0.5, 0.55, 0.17, 0.47
# Of the legend: width of an entry without text, and of a letter; height of a row.
_ENTRY, _LETTER, _ROW = 0.27, 0.055, 0.14
_A_LINE = 4


def plot_loss_surface(
    models: Mapping[str, keras.Model],
    image: np.ndarray,
    label: int,
    path: str | os.PathLike | None = None,
    *,
    eps: float,
    norm: str = "linf",
    class_names: Sequence[str] | None = None,
    **surface,
) -> Figure:
    """Draws the loss (above) and the predicted class (below) around an image.

    One panel a model. To the right goes the model's own adversarial direction, upwards
    a random one, the same for all models, in units of eps; the outline is what the ball
    of radius eps cuts out of the plane. All losses share one colour scale.

    Args:
        models: dict from panel title to Keras model (images to logits).
        image: float32 array (height, width, channels) in [0, 1].
        label: integer, its class.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.
        eps: the unit of both axes, a fraction such as 8/255.
        norm: "linf", "l2" or "l1".
        class_names: list of names of classes, or None to show their numbers.
        **surface: further arguments of `loss_surface`: extent, num_points, attack,
            batch_size, seed.

    Returns:
        matplotlib Figure: a column wide with one or two models, else a page.

    Raises:
        ValueError: as `loss_surface`, or if there are no models.
    """
    if not models:
        raise ValueError("no models: expected a dict from panel title to model.")
    surfaces = {
        title: loss_surface(model, image, label, eps=eps, norm=norm, **surface)
        for title, model in models.items()
    }
    figure = _draw(surfaces, label, eps, norm, class_names)
    if path is not None:
        save_figure(figure, path)
    return figure


def _draw(surfaces, label, eps, norm, class_names):
    columns = min(len(surfaces), _A_LINE)
    lines = -(-len(surfaces) // _A_LINE)
    panel, width = panel_size(columns, margins=_LEFT + _BAR, gap=_GAP)
    titles = [wrap(title, int(panel * 14)) for title in surfaces]
    head = _TITLE * max(title.count("\n") + 1 for title in titles) + 0.05
    colours = _colours(surfaces, label)
    entries = _legend_entries(colours, label, class_names)
    letters = np.mean([len(text) for text, _ in entries])
    in_a_row = min(len(entries), max(1, int(width / (_ENTRY + _LETTER * letters))))
    foot = _FOOT + _ROW * -(-len(entries) // in_a_row)
    height = lines * (head + 2 * panel + _GAP) + foot
    figure = new_figure(width, height)
    highest = max(surface["loss"].max() for surface in surfaces.values())
    for index, (title, surface) in enumerate(zip(titles, surfaces.values())):
        line, column = divmod(index, _A_LINE)
        x = _LEFT + column * (panel + _GAP)
        y = height - line * (head + 2 * panel + _GAP) - head - panel
        above, below = (
            figure.add_axes(np.divide([x, bottom, panel, panel], [width, height] * 2))
            for bottom in (y, y - _GAP - panel)
        )
        above.set_title(title, pad=3)
        shown = _draw_loss(above, surface, highest)
        _draw_classes(below, surface, colours)
        is_lowest = index + columns >= len(surfaces)
        for axis in (above, below):
            _frame(axis, surface, norm, column == 0, axis is below and is_lowest)
        if column == columns - 1 or index == len(surfaces) - 1:
            box = [x + panel + 0.06, y, 0.07, panel]
            _scale(figure, shown, np.divide(box, [width, height] * 2))
    middle = (_LEFT + width - _BAR) / 2, (height - head + foot) / 2
    _labels(figure, middle, foot, eps)
    _legend(figure, entries, in_a_row)
    return figure


def _draw_loss(axis, surface, highest):
    """The loss in grey to yellow: "cividis" is read alike with any colour vision."""
    steps, loss = surface["steps"], surface["loss"]
    shown = axis.pcolormesh(
        steps, steps, loss, cmap="cividis", vmin=0, vmax=highest, rasterized=True
    )
    levels = np.linspace(0, highest, 9)[1:-1]
    if loss.max() > levels[0] > loss.min():
        axis.contour(steps, steps, loss, levels, colors="white", linewidths=0.4)
    return shown


def _draw_classes(axis, surface, colours):
    from matplotlib.colors import to_rgb

    steps, classes = surface["steps"], surface["classes"]
    grey = to_rgb(FAINT)
    picture = np.full((*classes.shape, 3), grey)
    for number, colour in colours.items():
        picture[classes == number] = to_rgb(colour)
    half = (steps[1] - steps[0]) / 2
    ends = (steps[0] - half, steps[-1] + half)
    axis.imshow(picture, origin="lower", extent=(*ends, *ends), interpolation="nearest")


def _frame(axis, surface, norm, is_first, is_last):
    """Axes in eps, the image in the middle, and the ball around it."""
    if norm != "l2":
        # Signs of both directions agree in some pixel, or they have none in common in
        # L1: |a| + |b| is what counts.
        x, y = [1, 0, -1, 0, 1], [0, 1, 0, -1, 0]
    else:
        angles = np.linspace(0, 2 * np.pi, 100)
        x, y = np.cos(angles), np.sin(angles)
    axis.plot(x, y, color="white", linewidth=1.6)
    axis.plot(x, y, color=INK, linewidth=0.8)
    axis.plot(0, 0, "o", color="white", markeredgecolor=INK, markersize=3.5, mew=0.7)
    dress(axis, spines=("left", "right", "top", "bottom"))
    end = surface["steps"][-1]
    # Not at the corners, where they would run into those of the next panel.
    ticks = [-end / 2, 0, end / 2]
    axis.set(xlim=(-end, end), ylim=(-end, end), xticks=ticks, yticks=ticks)
    axis.set_aspect("equal")
    names = [f"{tick:g}" for tick in ticks]
    axis.set_xticklabels(names if is_last else [])
    axis.set_yticklabels(names if is_first else [])


def _scale(figure, shown, box):
    bar = figure.colorbar(shown, cax=figure.add_axes(box))
    bar.set_label("cross entropy", fontsize=FONT_SIZE, color=INK, labelpad=2)
    bar.ax.tick_params(labelsize=SMALL_SIZE, colors=INK, width=0.6, length=2, pad=1.5)
    bar.outline.set(edgecolor=INK, linewidth=0.6)


def _labels(figure, middle, foot, eps):
    width, height = figure.get_size_inches()
    text = {"ha": "center", "size": FONT_SIZE, "color": INK}
    x, y = middle
    figure.text(
        x / width, (foot - 0.34) / height,
        f"adversarial direction (in units of eps = {fraction(eps)})",
        va="center", **text,
    )  # fmt: skip
    figure.text(
        0.12 / width, y / height, "random direction",
        rotation=90, va="center", **text,
    )  # fmt: skip


def _legend_entries(colours, label, class_names):
    """Pairs of a text and a colour."""

    def name(number):
        known = f"class {number}"
        if class_names is not None:
            known = plain(class_names[number])
        return f"{known} (true)" if number == label else known

    entries = [(name(number), colour) for number, colour in colours.items()]
    return entries + [("others", FAINT)] * (len(colours) == len(PALETTE))


def _legend(figure, entries, in_a_row):
    from matplotlib.patches import Patch

    figure.legend(
        handles=[Patch(color=colour, label=text) for text, colour in entries],
        loc="lower center",
        bbox_to_anchor=(0.5, 0.03 / figure.get_size_inches()[1]),
        ncols=in_a_row,
        frameon=False,
        fontsize=SMALL_SIZE,
        labelcolor=INK,
        handlelength=0.9,
        handleheight=0.8,
        handletextpad=0.4,
        columnspacing=1.0,
        labelspacing=0.3,
        borderpad=0,
        borderaxespad=0,
    )


def _colours(surfaces, label):
    """Colour of the true class and of the others, the largest areas first."""
    seen = np.concatenate([surface["classes"].ravel() for surface in surfaces.values()])
    numbers, counts = np.unique(seen, return_counts=True)
    order = numbers[np.argsort(-counts, kind="stable")]
    others = [int(number) for number in order if number != label]
    # What is left over is grey.
    return {int(label): PALETTE[0], **dict(zip(others, PALETTE[1:]))}
