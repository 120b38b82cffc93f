"""Accuracy of a classifier on clean and on adversarial images."""

import collections.abc
import dataclasses
import platform
import time

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf.attacks import Attack, AutoAttack, checks, parse
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.identity import model_digest
from igam_tf.evaluation.batches import batches, check_data, fingerprints, num_images
from igam_tf.evaluation.counting import STATE_VERSION, Counter
from igam_tf.evaluation.endless import Repeats, check_ends
from igam_tf.evaluation.masking import (
    order_warnings,
    precision_warnings,
    reach_warnings,
)
from igam_tf.evaluation.panel import PANEL_VERSION, look, named_models
from igam_tf.evaluation.progress import Progress, tell
from igam_tf.evaluation.ranges import range_warnings
from igam_tf.evaluation.resume import Checkpoint
from igam_tf.evaluation.robustbench import model_info

BATCH_NORM = ("inference", "batch")
# Images given to AutoAttack at once: of 128, few would stand to the end.
PORTION = 1024
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
    panel=True,
    panel_examples=100,
    transfer_from=None,
    checkpoint_dir=None,
    progress=True,
    save=None,
):
    """Counts the images that a classifier gets right, clean and under each attack.

    An image stands under an attack if it is classified correctly both as it is and
    as the attack leaves it. One batch is in memory at a time, beside the few images of
    the masking panel.

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
        panel: whether to run `igam_tf.evaluation.masking_panel`, if there is an attack
            at all.
        panel_examples: number of images it looks at, the first of the data.
        transfer_from: dict from name to Keras model of the same task: the panel
            tries their adversarial images as well.
        checkpoint_dir: folder for what is counted so far, for an evaluation of hours:
            the same call goes on where it was killed. Emptied at the end. One
            evaluation at a time.
        progress: whether to show a progress bar with the time left, and warnings.
        save: function that is called with the result before `checkpoint_dir` is
            emptied, such as one that writes it to the disk; None for nothing.

    Returns:
        Dict that is JSON as it stands: for each attack accuracy, 95 % interval and
        seconds (compilation included); "worst_case", the images that stand under all
        attacks, the panel's among them; the threat model, settings, versions;
        "outcomes", one bit for each image and attack, which
        `igam_tf.evaluation.compare` takes; "panel", what `masking_panel` returns;
        "warnings": sentences about signs of gradient masking, or about images of another
        range than the model is for (that alone, where it is so); "robustbench": the same
        under the names of RobustBench's `model_info`.

    Raises:
        ValueError: if the arguments, the model or the data do not fit, or the data has
            no end and `max_examples` is None; if the model returns probabilities
            instead of logits, or NaN; if another evaluation uses `checkpoint_dir`.
        KeyboardInterrupt: with what was counted kept in `checkpoint_dir`.
    """
    attacks = _named(attacks, eps=eps, step_size=step_size, norm=norm, seed=seed)
    _check(attacks, norm=norm, eps=eps, step_size=step_size, batch_norm=batch_norm)
    sizes = {"batch_size": batch_size, "panel_examples": panel_examples}
    for name, value in {**sizes, "max_examples": max_examples}.items():
        if value is not None:
            checks.whole_number(name, value, 1)
    check_data(data)
    check_ends(data, max_examples)
    start = time.perf_counter()
    batch_size = _no_larger_than(data, batch_size, max_examples)
    settings = {
        "threat_model": THREAT_MODELS[norm],
        "eps": float(eps),
        "step_size": None if step_size is None else float(step_size),
        "batch_norm": batch_norm,
        "seed": int(seed),
    }
    sources = _sources(transfer_from)
    # Without an attack there is nothing that could be fooled.
    panel = bool(panel and eps and any(attacks.values()))
    others = {name: model_digest(source) for name, source in sources.items()}
    identity = (attacks, settings, sizes, batch_size, max_examples, panel, others)
    kept = Checkpoint(checkpoint_dir, model, str((*identity, PANEL_VERSION, STATE_VERSION)))
    with kept.in_use():
        ranges = range_warnings(
            model, data, batch_size=batch_size, training=batch_norm == "batch"
        )
        found, broken = None, ()
        if panel:
            found, broken = _panel(
                kept,
                model,
                data,
                eps=eps,
                norm=norm,
                num_examples=min(panel_examples, max_examples or panel_examples),
                batch_size=batch_size,
                batch_norm=batch_norm,
                seed=seed,
                transfer_from=sources,
            )
        if progress:
            tell(ranges, found)
        bar = Progress(num_images(data, max_examples), list(attacks), progress)
        counter = Counter(
            model,
            _connected(attacks, batch_size, checkpoint_dir, bar),
            training=batch_norm == "batch",
            batch_size=batch_size,
            broken=broken,
        )
        _count(counter, data, max_examples, kept, bar)
        result = _result(model, attacks, counter, settings, found, ranges)
        result["seconds"] = round(time.perf_counter() - start, 3)
        if save is not None:
            save(result)
        kept.remove()
    return result


def _panel(kept, model, data, *, num_examples, batch_size, **settings):
    """What `look` returns, or what it has found on these very images before."""
    images = None
    if kept.keeps:
        first = batches(data, batch_size, max_examples=num_examples)
        images = [text for batch, _ in first for text in fingerprints(batch)]
    if kept.panel is None or kept.panel["images"] != images:
        found, broken = look(
            model, data, num_examples=num_examples, batch_size=batch_size, **settings
        )
        kept.panel = {"found": found, "broken": broken, "images": images}
        kept.save()
    return kept.panel["found"], kept.panel["broken"]


def _sources(transfer_from):
    """`named_models`, if they are models."""
    if isinstance(transfer_from, (str, bytes)):
        raise ValueError(
            f"transfer_from is {transfer_from!r}: expected a Keras model, or a dict "
            "from names to models; load the file first."
        )
    try:
        sources = named_models(transfer_from)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"transfer_from is {type(transfer_from).__name__}: expected a Keras model, "
            "or a dict from names to models."
        ) from error
    for name, source in sources.items():
        if not isinstance(source, keras.Layer):
            raise ValueError(
                f"transfer_from[{name!r}] is {source!r}: expected a Keras model; load "
                "the file first (keras.models.load_model)."
            )
    return sources


def _check(attacks, *, norm, eps, step_size, batch_norm):
    checks.one_of("batch_norm", batch_norm, BATCH_NORM)
    checks.one_of("norm", norm, checks.NORMS)
    checks.radius("eps", eps, norm)
    if step_size is not None:
        checks.step("step_size", step_size, norm, eps)
    for name, attack in attacks.items():
        if batch_norm == "batch" and isinstance(attack, AutoAttack):
            raise ValueError(
                f"{name} with batch_norm='batch': expected batch_norm='inference', "
                "because AutoAttack's parts run on the images still standing, and with "
                "batch statistics each result depends on the others; for the authors' "
                "mode use pgd, or its parts one at a time ('apgd-ce', 'square')."
            )


def _connected(attacks, batch_size, checkpoint_dir, bar):
    """AutoAttack with this evaluation's batch size, folder and progress bar."""
    connected = dict(attacks)
    for name, attack in attacks.items():
        if isinstance(attack, AutoAttack):
            connected[name] = dataclasses.replace(
                attack,
                batch_size=batch_size,
                checkpoint_dir=attack.checkpoint_dir or checkpoint_dir,
                callback=attack.callback or bar.part,
            )
    return connected


def _count(counter, data, max_examples, kept, bar):
    """Attacks all portions, but for those that the checkpoint has counted already."""
    portion = counter.batch_size
    if any(isinstance(attack, AutoAttack) for attack in counter.attacks.values()):
        portion *= max(1, PORTION // portion)
    repeats = Repeats(data, max_examples)
    if kept.counted:
        counter.restore(kept.counted)
    for images, labels in batches(
        data, portion, max_examples=max_examples, as_given=counter.training
    ):
        repeats.add(images)
        if kept.counted_before(images, labels):
            continue
        counter.add(images, labels)
        kept.save_counted(counter.state())
        bar.update(counter.num_examples, counter.accuracies())
    bar.close()
    kept.check_all_seen()
    if counter.num_examples == 0:
        raise ValueError("data has no images: expected at least one to evaluate on.")


def _result(model, attacks, counter, settings, panel, ranges):
    entries, worst_case = counter.entries(), counter.worst_case()
    order = order_warnings(attacks, entries)
    # What the attacks asked for show on all images, the panel need not say again.
    said = {"pgd_steps"} if order else set()
    found = [n for n in panel["warns"] if n not in said] if panel else []
    if ranges:
        # Signs of masking in a model given images that it is not for mean nothing.
        order, found = [], []
    precision = precision_warnings(model)
    return {
        "attacks": entries,
        "worst_case": worst_case,
        **settings,
        "num_examples": counter.num_examples,
        "outcomes": counter.outcomes(),
        "warnings": ranges
        + precision
        + order
        + reach_warnings(attacks)
        + [panel["checks"][name]["sentence"] for name in found],
        "panel": panel,
        "robustbench": model_info(
            model,
            clean=counter.clean(),
            attacks=entries,
            worst_case=worst_case,
            eps=settings["eps"],
            autoattack=_standard_autoattack(attacks),
            unreliable=bool(ranges or precision or order or found),
        ),
        "versions": _versions(),
    }


def _standard_autoattack(attacks):
    """Name under which AutoAttack stands, or None."""
    for name, attack in attacks.items():
        if isinstance(attack, AutoAttack) and attack.version == "standard":
            return name
    return None


def _named(attacks, *, eps, norm, step_size, seed):
    if isinstance(attacks, (str, Attack)):
        attacks = [attacks]
    if not isinstance(attacks, collections.abc.Iterable):
        raise ValueError(
            f"attacks is {attacks!r}: expected names such as ('clean', 'pgd20'), or "
            "attacks of igam_tf.attacks."
        )
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
