"""Accuracy of a classifier on clean and on adversarial images."""

import platform

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf.attacks import Attack, checks, parse
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.batches import batches, check_data, num_images
from igam_tf.evaluation.counting import Counter
from igam_tf.evaluation.masking import order_warnings
from igam_tf.evaluation.progress import Progress

BATCH_NORM = ("inference", "batch")
THREAT_MODELS = {"linf": "Linf", "l2": "L2"}


def evaluate(
    model,
    data,
    attacks=("clean", "fgsm", "pgd20"),
    *,
    eps=8 / 255,
    step_size=None,
    norm="linf",
    batch_size=128,
    batch_norm="inference",
    seed=0,
    max_examples=None,
    progress=True,
):
    """Counts the images that a classifier gets right, clean and under each attack.

    An image stands under an attack if it is classified correctly both as it is and
    as the attack leaves it. One batch is in memory at a time.

    Args:
        model: Keras model from images (batch, height, width, channels) to logits.
        data: tf.data.Dataset of batches (images, labels), or a pair of arrays. Images
            are in [0, 1], labels are integers.
        attacks: names as `igam_tf.attacks.parse` takes them, or attacks.
        eps: radius of the ball of allowed perturbations, a fraction such as 8/255.
        step_size: length of a step of PGD, or None for the default of
            `igam_tf.attacks.pgd`.
        norm: "linf" or "l2".
        batch_size: number of images attacked at once.
        batch_norm: "inference", or "batch" to attack and classify in training mode
            with the statistics of each batch, as the paper's authors did (batches of
            100). An image's result then depends on its neighbours: a Dataset keeps its
            batches, the last one is not padded, and with one image in it means little.
            The model's moving statistics stay as they are.
        seed: integer, seed of random starts.
        max_examples: number of images to stop at, or None for all.
        progress: whether to show a progress bar with the time left.

    Returns:
        Dict that is JSON as it stands: for each attack accuracy, 95 % interval and
        seconds (compilation included), the threat model, settings, versions, and
        "warnings": sentences about signs of gradient masking.

    Raises:
        ValueError: if the arguments, the model or the data do not fit; if the model
            returns probabilities instead of logits, or NaN.
    """
    checks.one_of("batch_norm", batch_norm, BATCH_NORM)
    checks.one_of("norm", norm, checks.NORMS)
    checks.radius("eps", eps, norm)
    checks.whole_number("batch_size", batch_size, 1)
    if max_examples is not None:
        checks.whole_number("max_examples", max_examples, 1)
    check_data(data)
    attacks = _named(attacks, eps=eps, step_size=step_size, norm=norm, seed=seed)
    as_given = batch_norm == "batch"
    batch_size = _no_larger_than(data, batch_size, max_examples)
    counter = Counter(model, attacks, training=as_given)
    bar = Progress(num_images(data, max_examples), list(attacks), progress)
    for images, labels in batches(
        data, batch_size, max_examples=max_examples, as_given=as_given
    ):
        counter.add(images, labels, len(images) if as_given else batch_size)
        bar.update(counter.num_examples, counter.accuracies())
    bar.close()
    if counter.num_examples == 0:
        raise ValueError("data has no images: expected at least one to evaluate on.")
    entries = counter.entries()
    return {
        "attacks": entries,
        "threat_model": THREAT_MODELS[norm],
        "eps": float(eps),
        "step_size": None if step_size is None else float(step_size),
        "batch_norm": batch_norm,
        "seed": int(seed),
        "num_examples": counter.num_examples,
        "warnings": counter.warnings + order_warnings(attacks, entries),
        "versions": _versions(),
    }


def _named(attacks, *, eps, norm, step_size, seed):
    if isinstance(attacks, (str, Attack)):
        attacks = [attacks]
    named = {}
    for attack in attacks:
        if not isinstance(attack, Attack):
            named[attack] = parse(
                attack, eps=eps, step_size=step_size, norm=norm, seed=seed
            )
        elif (attack.eps, attack.norm) == (eps, norm):
            named[repr(attack)] = attack
        else:
            raise ValueError(
                f"{attack} among the attacks of an evaluation at eps "
                f"{fraction(eps)}, {norm}: expected one threat model; pass its eps and "
                "norm to evaluate as well, or evaluate it alone."
            )
    if not named:
        raise ValueError("no attacks: expected names such as ('clean', 'pgd20').")
    return named


def _no_larger_than(data, batch_size, max_examples):
    """A batch no larger than the data: padding one image to 128 would be a waste."""
    sizes = [batch_size, max_examples or batch_size]
    if not isinstance(data, tf.data.Dataset):
        sizes.append(max(1, len(data[0])))
    return min(sizes)


def _versions():
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "igam_tf": igam_tf.__version__,
        "python": platform.python_version(),
    }
