"""All figures of a run, from its results, its students and test images."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.data import evaluation_batches
from igam_tf.data.task import Split
from igam_tf.evaluation.alignment import measure_alignment
from igam_tf.reports.alignment import plot_alignment
from igam_tf.reports.bars import plot_bars
from igam_tf.reports.class_pairs import plot_class_pairs
from igam_tf.reports.curves import plot_curves
from igam_tf.reports.histories import read_histories
from igam_tf.reports.input_gradients import plot_input_gradients
from igam_tf.reports.names import FIGURES, OF_A_RUN, OF_MODELS, titles
from igam_tf.reports.robustness import plot_robustness
from igam_tf.reports.style import save_figure
from igam_tf.reports.surfaces import plot_loss_surface

# Test images among which the surfaces' image is chosen.
_CANDIDATES = 100


def write_figures(
    results: dict,
    models: Mapping[str, keras.Model],
    split: Split | None,
    folder: str | os.PathLike,
    *,
    figures: Sequence[str] = OF_A_RUN,
    examples: int = 8,
    alignment_examples: int = 100,
    seed: int = 0,
) -> list[pathlib.Path]:
    """Writes figures of a run as PNG and PDF, each under its own name.

    The surfaces are those around the first test image that most of the models classify
    correctly. Bars show clean and PGD-5 accuracy, or PGD of the fewest steps that was
    measured. Alignment takes 240 gradients an image and model; the others are quick.

    Args:
        results: dict as of `results.json`; eps and norm are those of the first row.
        models: dict from row name to Keras model (images to logits). Bars and curves
            need none.
        split: `igam_tf.data.Split` of test images, or None where no figure needs them.
        folder: where to write; the run folder, where the histories of `curves` are.
        figures: names among `input_gradients`, `surfaces`, `bars`, `alignment`,
            `curves`, `robustness`, `class_pairs`.
        examples: rows of input gradients.
        alignment_examples: images of the alignment figure.
        seed: integer, of random directions and starts.

    Returns:
        List of the paths written.

    Raises:
        ValueError: if a figure is unknown, or what it is drawn from is missing.
    """
    _check(figures, models, split)
    measured = next(iter(results["rows"].values()))["evaluation"]
    titled = titled_models(results, models)
    drawn = {
        "input_gradients": lambda: plot_input_gradients(
            titled, *_first(split, examples)
        ),
        "surfaces": lambda: plot_loss_surface(
            titled,
            *_image_most_get_right(titled, split),
            eps=measured["eps"],
            norm=measured["threat_model"].lower(),
            seed=seed,
        ),
        "bars": lambda: plot_bars(results, attacks=_attacks_of_bars(results)),
        "alignment": lambda: _alignment(titled, split, alignment_examples, seed),
        "curves": lambda: plot_curves(read_histories(results, folder)),
        "robustness": lambda: plot_robustness(results),
        "class_pairs": lambda: plot_class_pairs(results),
    }
    paths = []
    for name in figures:
        paths += save_figure(drawn[name](), pathlib.Path(folder) / name)
    return paths


def _check(figures, models, split):
    unknown = [name for name in figures if name not in FIGURES]
    if unknown:
        raise ValueError(f"figures {unknown}: expected names among {FIGURES}.")
    of_models = [name for name in figures if name in OF_MODELS]
    if of_models and not (models and split is not None):
        raise ValueError(
            f"no models or no images for {of_models}: expected the student of at least "
            "one row, and test images."
        )


def titled_models(
    results: dict, models: Mapping[str, keras.Model]
) -> dict[str, keras.Model]:
    """The models by what stands above them: the labels of their rows.

    Args:
        results: dict as of `results.json`.
        models: dict from row name to Keras model.
    """
    titled = titles({row: results["rows"][row] for row in models})
    return {titled[row]: model for row, model in models.items()}


def _first(split, count):
    """The first images and labels, as arrays."""
    batch = next(iter(evaluation_batches(split, min(count, len(split)))))
    return tuple(tensor.numpy() for tensor in batch)


def _image_most_get_right(models, split):
    images, labels = _first(split, _CANDIDATES)
    right = sum(
        (compiled_logits(model, images).argmax(axis=1) == labels).astype(int)
        for model in models.values()
    )
    best = int(np.argmax(right))
    return images[best], int(labels[best])


def _attacks_of_bars(results):
    """Clean and PGD-5, or what comes nearest among the attacks of all rows."""
    rows = [row["evaluation"]["attacks"] for row in results["rows"].values()]
    shared = [name for name in rows[0] if all(name in row for row in rows)]
    steps = {int(n[3:]): n for n in shared if n.startswith("pgd") and n[3:].isdigit()}
    weak = [steps.get(5) or steps[min(steps)]] if steps else []
    others = [name for name in shared if name != "clean"]
    clean = ["clean"] if "clean" in shared else []
    return clean + (weak or others[:1]) or shared[:1]


def _alignment(models, split, count, seed):
    """In L2, as the theory is, whatever the threat model of the run."""
    images, _ = _first(split, count)
    measures = {
        title: measure_alignment(model, images, seed=seed)
        for title, model in models.items()
    }
    return plot_alignment(measures)
