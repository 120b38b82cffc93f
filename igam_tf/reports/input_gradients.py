"""Pictures of input gradients: Figures 1, 4 and 6 of the paper."""

from __future__ import annotations

import os
import typing
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from igam_tf.gradients import input_gradient
from igam_tf.reports.style import (
    FONT_SIZE,
    PAGE,
    SMALL_SIZE,
    dress,
    new_figure,
    save_figure,
    wrap,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure


# Inches; cells are smaller where the page would be too narrow.
_CELL, _GAP, _MARGIN, _LINE = 1.15, 0.05, 0.03, 0.15
# Characters of a title on an inch.
_CHARACTERS = 15


def plot_input_gradients(
    models: Mapping[str, keras.Model],
    images: np.ndarray,
    labels: np.ndarray,
    path: str | os.PathLike | None = None,
    *,
    of: str = "loss",
) -> Figure:
    """Draws rows of images with the input gradient of each model beside them.

    Each gradient is scaled by itself: clipped at 3 standard deviations and mapped to
    [0, 1], where 0.5 (grey) is a gradient of zero.

    Args:
        models: dict from column title to Keras model (images to logits).
        images: float array (rows, height, width, channels) in [0, 1], channels 1 or 3.
        labels: integers (rows,), the true classes.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.
        of: "loss" or "probability", as `igam_tf.input_gradient`.

    Returns:
        matplotlib Figure.

    Raises:
        ValueError: if there are no models, the images are not NHWC of 1 or 3 channels,
            or a gradient is NaN.
    """
    images = np.asarray(images, np.float32)
    if not models:
        raise ValueError("no models: expected a dict from column title to model.")
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or len(images) == 0:
        raise ValueError(
            f"images have shape {images.shape}: expected (rows, height, width, "
            "channels) with 1 channel (grey) or 3 (colour)."
        )
    columns = {"Image": images}
    for label, model in models.items():
        gradient = input_gradient(
            model, tf.constant(images), tf.constant(labels), of=of
        ).numpy()
        if not np.isfinite(gradient).all():
            raise ValueError(f"the input gradient of {label!r} is not finite.")
        columns[label] = scaled_for_display(gradient)
    figure = _draw(columns)
    if path is not None:
        save_figure(figure, path)
    return figure


def scaled_for_display(gradients: np.ndarray) -> np.ndarray:
    """Maps each gradient to [0, 1]: zero to 0.5, 3 standard deviations to the ends.

    Args:
        gradients: float array (batch, height, width, channels).

    Returns:
        float array like `gradients`.
    """
    spread = 3 * gradients.std(axis=(1, 2, 3), keepdims=True)
    scaled = np.divide(
        gradients, spread, out=np.zeros_like(gradients), where=spread > 0
    )
    return np.clip(scaled, -1, 1) / 2 + 0.5


def _draw(columns):
    rows = len(columns["Image"])
    cell = min(_CELL, (PAGE - 2 * _MARGIN + _GAP) / len(columns) - _GAP)
    titles = [wrap(title, int(cell * _CHARACTERS)) for title in columns]
    size = FONT_SIZE if cell == _CELL else SMALL_SIZE
    head = _GAP + _LINE * max(title.count("\n") + 1 for title in titles)
    width = (cell + _GAP) * len(columns) - _GAP + 2 * _MARGIN
    height = (cell + _GAP) * rows - _GAP + 2 * _MARGIN + head
    figure = new_figure(width, height)
    axes = figure.subplots(
        rows,
        len(columns),
        squeeze=False,
        gridspec_kw={
            "left": _MARGIN / width,
            "right": 1 - _MARGIN / width,
            "bottom": _MARGIN / height,
            "top": 1 - (_MARGIN + head) / height,
            "wspace": _GAP / cell,
            "hspace": _GAP / cell,
        },
    )
    for column, (title, pictures) in enumerate(zip(titles, columns.values())):
        dress(axes[0, column])
        axes[0, column].set_title(title, pad=3, fontsize=size)
        for axis, picture in zip(axes[:, column], pictures):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_axis_off()
    return figure
