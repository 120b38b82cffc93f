"""All checks of the panel on one model."""

import dataclasses
import time

import keras

from igam_tf.attacks.classifier import num_classes
from igam_tf.evaluation.batches import Data, batches, check_data, fingerprints
from igam_tf.evaluation.masking import (
    black_box,
    gradients,
    outputs,
    radius,
    strength,
)
from igam_tf.evaluation.masking.batch_norm import batch_norm as batch_norm_check
from igam_tf.evaluation.masking.batch_norm import has_batch_norm
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import proportion

# Another number with every change of the checks: a killed evaluation does not go on
# with what other checks have found.
PANEL_VERSION = 3
# Checks whose warning says nothing of gradients: the costliest does not follow them.
NOT_MASKING = {"randomized", "batch_dependent", "batch_norm"}


def masking_panel(
    model: keras.Model,
    data: Data,
    *,
    eps: float = 8 / 255,
    norm: str = "linf",
    num_examples: int = 100,
    batch_size: int = 128,
    batch_norm: str = "inference",
    seed: int = 0,
    transfer_from: dict[str, keras.Model] | keras.Model | None = None,
) -> dict:
    """Looks for signs that a model only hides from gradient attacks.

    It takes about 250 gradient steps and 1,000 queries of Square Attack on each image,
    and 20 steps for each model of `transfer_from`. Where a check says that gradients
    mislead, images that are still robust get 15,600 queries of SPSA (ten times the
    rest), so that "worst_case" means something without a model to transfer from.

    Args:
        model: Keras model from images to logits.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays; its
            first images are taken.
        eps: radius of the ball, a fraction such as 8/255.
        norm: "linf" or "l2".
        num_examples: number of images.
        batch_size: number of images attacked at once.
        batch_norm: mode of the model, as in `igam_tf.evaluate`.
        seed: integer, seed of random starts and noise.
        transfer_from: dict from name to Keras model, whose adversarial images are
            tried as well; models of the same task, such as a plainly trained one.

    Returns:
        Dict, ready for JSON: "checks", a dict from name to "values",
        "threshold", "warns", "sentence", "source" and "seconds"; "warns", the names of
        those that warn; "worst_case", the accuracy on these images under everything
        tried; "num_examples" and "seconds".

    Raises:
        ValueError: if the model or the data do not fit.
    """
    panel, _ = look(
        model,
        data,
        eps=eps,
        norm=norm,
        num_examples=num_examples,
        batch_size=batch_size,
        batch_norm=batch_norm,
        seed=seed,
        transfer_from=transfer_from,
    )
    return panel


def look(
    model: keras.Model,
    data: Data,
    *,
    eps: float,
    norm: str,
    num_examples: int,
    batch_size: int,
    batch_norm: str,
    seed: int,
    transfer_from: dict[str, keras.Model] | keras.Model | None,
) -> tuple[dict, list[str]]:
    """As `masking_panel`, and the images that something made the model misclassify.

    Returns:
        Tuple: the dict of `masking_panel`, and a list with the `batches.fingerprints`
        of the images that are not right under everything tried.
    """
    start = time.perf_counter()
    check_data(data)
    if not eps > 0:
        raise ValueError(f"eps is {eps}: expected a ball larger than one point.")
    as_given = batch_norm == "batch"
    size = min(batch_size, num_examples)
    found = list(batches(data, size, max_examples=num_examples, as_given=as_given))
    if not found:
        raise ValueError("data has no images: expected at least one to evaluate on.")
    tested = ModelUnderTest(
        model, found, eps=eps, norm=norm, training=as_given, seed=seed
    )
    sources = _checked_sources(named_models(transfer_from), tested)
    entries: dict[str, dict] = {}
    last = time.perf_counter()
    for check in _checks(tested, sources, entries):
        now = time.perf_counter()
        entries[check.name] = _entry(check, now - last)
        last = now
    panel = _report(tested, entries, batch_norm, time.perf_counter() - start)
    misled = ~tested.is_robust
    return panel, fingerprints(tested.images[misled], tested.labels[misled])


def named_models(
    models: dict[str, keras.Model] | keras.Model | None,
) -> dict[str, keras.Model]:
    """Dict from name to model, of a `transfer_from`: that, one model, or None."""
    if isinstance(models, keras.Layer):
        return {models.name: models}
    return dict(models or {})


def _checks(tested, sources, entries):
    """Cheap ones first; black-box attacks after all that have the gradient.

    `entries` are those of the checks so far: the costliest waits for one to warn.
    """
    yield outputs.logits(tested)
    randomized = outputs.randomized(tested)
    yield randomized
    if not randomized.warns:
        yield outputs.batch_dependent(tested)
    yield gradients.vanishing(tested)
    yield strength.steps(tested)
    yield strength.starting_point(tested)
    yield strength.loss(tested)
    if has_batch_norm(tested.model):
        yield batch_norm_check(tested)
    yield radius.radius(tested)
    yield black_box.noise(tested)
    yield black_box.square(tested)
    if sources:
        yield black_box.transfer(tested, sources)
    yield gradients.linearity(tested)
    if any(entries[name]["warns"] for name in entries.keys() - NOT_MASKING):
        yield black_box.spsa(tested)


def _entry(check, seconds):
    entry = {**dataclasses.asdict(check), "seconds": round(seconds, 2)}
    del entry["name"]
    return entry


def _report(tested, entries, batch_norm, seconds):
    return {
        "num_examples": len(tested),
        "eps": float(tested.eps),
        "batch_norm": batch_norm,
        "seed": int(tested.seed),
        "warns": [name for name, entry in entries.items() if entry["warns"]],
        "worst_case": proportion(int(tested.is_robust.sum()), len(tested)),
        "checks": entries,
        "seconds": round(seconds, 1),
    }


def _checked_sources(sources, tested):
    """The models to transfer from; a ValueError unless they are of the same task."""
    classes = tested.clean_logits.shape[1]
    for name, source in sources.items():
        try:
            found = num_classes(source, tested.images)
        except ValueError as error:
            raise ValueError(f"transfer_from, {name!r}: {error}") from error
        if found != classes:
            raise ValueError(
                f"transfer_from, {name!r}: it has {found} classes and the model "
                f"{classes}; expected a model of the same task."
            )
    return sources
