"""Adversarial images of a run's students, and what was changed in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np

from igam_tf.attacks import pgd
from igam_tf.attacks.engine.compilation import compiled_logits
from igam_tf.data import evaluation_batches
from igam_tf.data.task import Split
from igam_tf.reports.figures import titled_models

# Test images among which one of each class is looked for.
_CANDIDATES = 100


@dataclasses.dataclass(frozen=True)
class AdversarialExamples:
    """Test images, and what an attack makes of them against each model.

    Attributes:
        images: float32 array (n, height, width, channels) in [0, 1].
        labels: integers (n,), the true classes.
        found: dict from a model's title to a tuple (adversarial images like `images`,
            classes that the model sees in the images, and in the adversarial ones).
        attack: the attack, as the call that makes it.
        magnification: by which a change is multiplied so that the largest of all
            reaches from mid-grey to black or white.
    """

    images: np.ndarray
    labels: np.ndarray
    found: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    attack: str
    magnification: float

    def shown_change(self, title: str) -> np.ndarray:
        """The magnified changes of a model's images, around 0.5, within [0, 1]."""
        change = self.found[title][0] - self.images
        return np.clip(0.5 + self.magnification * change, 0, 1)


def adversarial_examples(
    models: Mapping[str, keras.Model],
    split: Split,
    *,
    eps: float,
    norm: str = "linf",
    step_size: float | None = None,
    seed: int = 0,
    count: int = 6,
) -> AdversarialExamples:
    """Attacks the same few test images of each model by PGD-20.

    The images are the first of as many classes as possible: nothing is chosen by what
    an attack does to it.

    Args:
        models: dict from title to Keras model (images to logits).
        split: `igam_tf.data.Split` of test images.
        eps: radius of the ball, as a fraction of the pixel range.
        norm: "linf", "l2" or "l1".
        step_size: of the attack; that of `igam_tf.attacks.pgd` if left out.
        seed: integer, of the random start.
        count: images, at most.

    Returns:
        `AdversarialExamples`.

    Raises:
        ValueError: if there are no models, or an argument does not fit the attack.
    """
    if not models:
        raise ValueError("no models: expected a dict from title to model.")
    batch = next(iter(evaluation_batches(split, min(_CANDIDATES, len(split)))))
    images, labels = (tensor.numpy() for tensor in batch)
    chosen = _first_of_classes(labels, count)
    images, labels = images[chosen], labels[chosen]
    attack = pgd(eps=eps, norm=norm, step_size=step_size, num_steps=20, seed=seed)
    found, largest = {}, 0.0
    for title, model in models.items():
        moved = np.asarray(attack(model, images, labels))
        classes = [compiled_logits(model, x).argmax(axis=1) for x in (images, moved)]
        found[title] = (moved, *classes)
        largest = max(largest, float(np.abs(moved - images).max()))
    return AdversarialExamples(
        images, labels, found, str(attack), 0.5 / largest if largest else 1.0
    )


def examples_of(
    results: dict, models: Mapping[str, keras.Model], split: Split
) -> AdversarialExamples:
    """Adversarial images of a run's students, under the threat model of its rows.

    Args:
        results: dict as of `results.json`; eps, norm, step and seed are those of the
            first row.
        models: dict from row name to Keras model.
        split: `igam_tf.data.Split` of test images.

    Returns:
        `AdversarialExamples`, by the labels of the rows.

    Raises:
        ValueError: as `adversarial_examples`.
    """
    measured = next(iter(results["rows"].values()))["evaluation"]
    return adversarial_examples(
        titled_models(results, models),
        split,
        eps=measured["eps"],
        norm=measured["threat_model"].lower(),
        step_size=measured["step_size"],
        seed=measured["seed"],
    )


def _first_of_classes(labels, count):
    """Places of the first image of each class, then of other images, in order."""
    _, first = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(labels)), first)
    return np.sort(np.concatenate([np.sort(first), others])[:count])
