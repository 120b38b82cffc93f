"""Robust accuracy over eps: from the smallest perturbations of one evaluation."""

from __future__ import annotations

import os
import typing

import numpy as np

from igam_tf.attacks import radii
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.curve import distances_of
from igam_tf.reports.names import attack_title, titles
from igam_tf.reports.style import (
    COLUMN,
    FAINT,
    FONT_SIZE,
    INK,
    PALETTE,
    SMALL_SIZE,
    dress,
    new_figure,
    plain,
    save_figure,
)

if typing.TYPE_CHECKING:
    from matplotlib.figure import Figure

_HEIGHT = 2.4
_DASHES = ("-", "--", ":", "-.")
# The axis ends where all models have lost all images, or at so many eps.
_FARTHEST = 8.0


def plot_robustness(results: dict, path: str | os.PathLike | None = None) -> Figure:
    """Draws the robust accuracy of each model at every eps, as measured in one run.

    An image counts at every eps below its smallest perturbation that was found, so that
    no curve rises. A model measured by several attacks has at each image the smallest.
    A line marks the eps of the evaluation.

    Args:
        results: dict as of `results.json`, see `format_table`; rows without distances
            are left out.
        path: where to write the figure: PNG and PDF if it has no suffix, else that
            format. None writes nothing.

    Returns:
        matplotlib Figure, one column wide.

    Raises:
        ValueError: if no row has distances.
    """
    rows = measured(results)
    titled = titles(rows)
    curves = {titled[key]: _smallest(row["evaluation"]) for key, row in rows.items()}
    if not curves:
        raise ValueError(
            "no row has distances: expected an evaluation with an attack that looks "
            "for the smallest perturbation, such as --attacks=clean,fmn."
        )
    evaluation = next(iter(rows.values()))["evaluation"]
    eps, norm = evaluation["eps"], evaluation["threat_model"]
    end = _end(curves.values(), eps)
    figure = new_figure(COLUMN, _HEIGHT)
    axis = figure.add_axes((0.14, 0.17, 0.82, 0.78))
    for number, (label, distances) in enumerate(curves.items()):
        axis.step(
            *_steps(distances, end),
            _DASHES[number // len(PALETTE) % len(_DASHES)],
            where="post",
            color=PALETTE[number % len(PALETTE)],
            linewidth=1.2,
            label=plain(label),
        )
    axis.axvline(eps, color=FAINT, linewidth=0.6, linestyle=":")
    axis.text(eps, 101, f" eps {fraction(eps)}", size=SMALL_SIZE, color=INK)
    axis.set_xlim(0, end)
    axis.set_ylim(0, 100)
    axis.set_xlabel(f"eps ({norm})", labelpad=2)
    axis.set_ylabel(f"robust accuracy (%), {_attacks(evaluation)}", labelpad=2)
    dress(axis)
    axis.legend(frameon=False, fontsize=FONT_SIZE, labelcolor=INK, loc="upper right")
    if path is not None:
        save_figure(figure, path)
    return figure


def measured(results: dict) -> dict[str, dict]:
    """The rows that have the smallest perturbation of each image."""
    return {
        name: row
        for name, row in results["rows"].items()
        if _measuring(row["evaluation"])
    }


def _measuring(evaluation):
    """The attacks that measured distances, in the norm of the evaluation."""
    every = evaluation.get("outcomes", {}).get("distances", {})
    return [attack for attack in every if radii.split(attack)[1] is None]


def _smallest(evaluation):
    every = _measuring(evaluation)
    return np.min([distances_of(evaluation, attack) for attack in every], axis=0)


def _attacks(evaluation):
    return ", ".join(map(attack_title, _measuring(evaluation)))


def _end(every, eps):
    """Where the last image of the most robust model is lost."""
    finite = [distances[np.isfinite(distances)] for distances in every]
    farthest = max((values.max(initial=0.0) for values in finite), default=0.0)
    return float(min(farthest, _FARTHEST * eps) if eps else farthest) or 1.0


def _steps(distances, end):
    """Corners of the curve: eps, and the percent of the images beyond it."""
    eps = np.unique(np.concatenate([[0.0], distances[distances <= end], [end]]))
    ordered = np.sort(distances)
    beyond = len(ordered) - np.searchsorted(ordered, eps, side="right")
    return eps, 100 * beyond / len(ordered)
