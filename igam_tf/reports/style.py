"""What all figures share: their look, and how they are written.

Widths are those of a paper (one column, or the page), and text has the size it is read
at: place figures unscaled. Colours are those of Okabe and Ito (2008), which
colour-blind readers tell apart too.

Figures are plain `matplotlib.figure.Figure` objects. pyplot and its global backend are
left alone, so that a figure can be made in a notebook and on a machine without screen.
matplotlib is imported when a figure is made, not before.
"""

from __future__ import annotations

import os
import pathlib
import textwrap
import typing
from collections.abc import Sequence

from igam_tf import files

if typing.TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# Points.
FONT_SIZE = 8
SMALL_SIZE = 7
# Inches: a column of 8.5 cm, and two of them.
COLUMN, PAGE = 3.35, 6.7

INK = "#222222"
FAINT = "#999999"
PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # green
    "#D55E00",  # vermilion
    "#56B4E9",  # sky blue
    "#CC79A7",  # purple
    "#F0E442",  # yellow
)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def panel_size(columns: int, *, margins: float, gap: float) -> tuple[float, float]:
    """Side in inches of square panels that fill the width of a paper.

    Args:
        columns: panels beside each other: up to two fill a column, more the page.
        margins: inches left and right of them together.
        gap: inches between them.

    Returns:
        Tuple (side, width of the figure).
    """
    width = COLUMN if columns <= 2 else PAGE
    return (width - margins + gap) / columns - gap, width


def wrap(title: str, characters: int) -> str:
    """A title on lines of so many characters, broken between words and at hyphens.

    A word of more than two lines is broken anywhere, or it would leave the figure no
    room.
    """
    lines = textwrap.wrap(plain(title), characters, break_long_words=False)
    return "\n".join(
        line[start : start + 2 * characters]
        for line in lines
        for start in range(0, len(line), 2 * characters)
    )


def plain(text: str) -> str:
    """A name as matplotlib draws it as it is: no formula, and not left out.

    It takes what stands between two dollars for TeX, and leaves names that begin with
    an underscore out of legends.
    """
    text = text.replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def dress(axis: Axes, *, spines: Sequence[str] = ("left", "bottom")) -> None:
    """Gives an axis the common look.

    Args:
        axis: matplotlib Axes.
        spines: the sides that keep their line.
    """
    for side, spine in axis.spines.items():
        spine.set_visible(side in spines)
        spine.set(color=INK, linewidth=0.6)
    axis.tick_params(labelsize=SMALL_SIZE, colors=INK, width=0.6, length=2.5, pad=2)
    for name in (axis.xaxis.label, axis.yaxis.label, axis.title):
        name.set(fontsize=FONT_SIZE, color=INK)


def save_figure(figure: Figure, path: str | os.PathLike) -> list[pathlib.Path]:
    """Writes a figure under a temporary name, then renames it.

    Args:
        figure: matplotlib Figure.
        path: file to write. Its suffix says the format; without one, PNG and PDF are
            written. Missing folders are made.

    Returns:
        List of the paths written.

    Raises:
        ValueError: if matplotlib does not know the format.
    """
    path = pathlib.Path(path)
    formats = [path.suffix[1:]] if path.suffix else ["png", "pdf"]
    known = figure.canvas.get_supported_filetypes()
    if not set(formats) <= set(known):
        raise ValueError(
            f"figure {path.name!r}: expected one of the formats {sorted(known)}, or a "
            "name without suffix for PNG and PDF."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return [_write(figure, path.with_suffix("." + kind), kind) for kind in formats]


def _write(figure, path, kind):
    import matplotlib

    # A PDF without its date: the same figure gives the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else None
    # TrueType: conferences refuse the default Type 3.
    truetype = matplotlib.rc_context({"pdf.fonttype": 42})
    with files.replacing(path) as temporary, truetype:
        figure.savefig(temporary, format=kind, dpi=300, metadata=metadata)
    return path
