"""What all figures share: how they look, and how they are written.

Figures are plain `matplotlib.figure.Figure` objects. pyplot and its global backend are
left alone, so that a figure can be made in a notebook and on a machine without screen.
matplotlib is imported when a figure is made, not before.
"""

import os
import pathlib

FONT_SIZE = 10
INK = "#222222"


def new_figure(width, height):
    """An empty figure of a size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white")


def save_figure(figure, path):
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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    # A PDF without its date: the same figure gives the same file.
    metadata = {"CreationDate": None} if kind == "pdf" else None
    try:
        figure.savefig(temporary, format=kind, dpi=200, metadata=metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
