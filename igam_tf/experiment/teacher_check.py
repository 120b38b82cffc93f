"""Measures the accuracy of a teacher from a file on its own task, before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from igam_tf import checkpoints, data, evaluation, models
from igam_tf.attacks.fractions import fraction
from igam_tf.experiment import networks
from igam_tf.transforms import seen_pixels

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.runner import Run

EXAMPLES = 200
_BATCH = 100
#: Under this part of its clean accuracy a teacher counts as not robust.
_ROBUST_PART = 0.2

# What images in [0, 1] are turned into to see whether the teacher knows them.
_GREY_LEVELS, _SIGNED = "in [0, 255]", "in [-1, 1]"
_FLAGS = {_GREY_LEVELS: "0,255", _SIGNED: "-1,1"}


def is_recorded(run: Run) -> bool:
    """Whether an earlier session of the run has measured its teacher.

    Raises:
        ValueError: if the file is another one than it was then.
    """
    earlier = (run.folder.read_json("flags.json") or {}).get("teacher")
    if earlier is not None:
        with networks.naming_checkpoint(run.experiment.teacher.checkpoint):
            _check_digest(earlier, run.folder)
    return earlier is not None


def record(run: Run, teacher: keras.Model) -> None:
    """Measures the teacher of `--teacher_checkpoint`, prints and records the figures.

    They are recorded in `flags.json`, and so in the results, with the digest of the
    file. Every process measures by itself.

    Args:
        run: the run.
        teacher: the model of the file.

    Raises:
        ValueError: if it is a network of other classes, or one that expects images of
            another range or normalisation.
    """
    path, folder = run.experiment.teacher.checkpoint, run.folder
    with networks.naming_checkpoint(path):
        found = {"file": path, "sha256": checkpoints.digest(path)}
    with run.local_strategy.scope():
        teacher = models.in_float32(teacher)
    found.update(measure(run.experiment, teacher))
    run.record()
    if folder.writes:
        # The first worker alone: to others the file may not be there yet.
        recorded = folder.read_json("flags.json")
        folder.write_json("flags.json", {**recorded, "teacher": found})
    run.say(_summary(found))
    for warning in found["warnings"]:
        run.say(f"Warning: {warning}")


def measure(experiment: Experiment, teacher: keras.Model) -> dict[str, Any]:
    """Accuracy of a teacher on test images of its source, clean and under PGD-20.

    Args:
        experiment: the settings: data, teacher.
        teacher: keras.Model from images of the source in [0, 1] to logits.

    Returns:
        Dict: "measured"; if so "num_examples", "clean", "pgd20", "eps"; if not
        "reason"; and "warnings", sentences.

    Raises:
        ValueError: if it sees something in images of another range or normalisation,
            and little in [0, 1].
    """
    if not experiment.data.source:
        return _not_measured(
            "no --source was given, whose test images would tell whether it is robust"
        )
    source = experiment.data.info("source")
    if teacher.output_shape[-1] != source.num_classes:
        return _not_measured("its logits are of another task than the source's")
    try:
        test = _test_images(experiment)
    except (OSError, ValueError) as error:
        return _not_measured(f"there are no data of {source.name} ({error})")
    batches = data.evaluation_batches(test, _BATCH)
    images = np.concatenate([images.numpy() for images, _ in batches])
    hints = _check_range(experiment, teacher, images, np.asarray(test.labels))
    eps = experiment.teacher.eps or experiment.attack.eps
    try:
        found = evaluation.evaluate(
            teacher,
            batches,
            attacks=["clean", "pgd20"],
            eps=eps,
            batch_size=_BATCH,
            seed=experiment.run.seed,
            panel=False,
            progress=False,
        )
    except ValueError as error:
        return _not_measured(str(error))
    clean, robust = (found["attacks"][a]["accuracy"] for a in ("clean", "pgd20"))
    figures = {"num_examples": len(images), "clean": clean, "pgd20": robust, "eps": eps}
    warnings = [*hints, *_warnings(source, figures)]
    return {"measured": True, **figures, "warnings": warnings}


def _test_images(experiment):
    return data.read(
        experiment.data.source,
        experiment.data.data_dir or None,
        train_examples=1,
        test_examples=EXAMPLES,
        # The source's data serve for this alone.
        download=False,
        progress=False,
        **experiment.data.own("source"),
    ).test


def seen(experiment: Experiment, finetuned: keras.Model) -> str:
    """Text that explains the input transform, and warns of the pixels that it drops."""
    name, transform = (
        experiment.finetuning.input_transform,
        finetuned.get_layer("input_transform"),
    )
    lines = [f"Input transform: {seen_pixels.explain(name, transform)}."]
    warning = seen_pixels.warning(name, transform)
    return "\n".join(lines + ([f"Warning: {warning}"] if warning else []))


def _not_measured(reason):
    return {"measured": False, "reason": reason, "warnings": []}


def _summary(found):
    text = f"Teacher {found['file']} (sha256 {found['sha256'][:12]}): "
    if not found["measured"]:
        return f"{text}its accuracy was not measured: {found['reason']}"
    return (
        f"{text}{100 * found['clean']:.1f} % clean and {100 * found['pgd20']:.1f} % "
        f"under PGD-20 (Linf, eps {fraction(found['eps'])}) of {found['num_examples']} "
        "test images of its source."
    )


def _warnings(source, found):
    n, chance = found["num_examples"], 1 / source.num_classes
    noise = 3 * np.sqrt(chance * (1 - chance) / n)
    accuracies = (
        f"{100 * found['clean']:.1f} % clean, {100 * found['pgd20']:.1f} % under "
        f"PGD-20 at eps {fraction(found['eps'])}, of {n} test images of {source.name}"
    )
    if found["clean"] <= chance + noise:
        yield (
            f"the teacher is at chance on its own source ({accuracies}): it was "
            "trained on other data, on other preprocessing, or with the classes in "
            "another order."
        )
    elif found["pgd20"] < _ROBUST_PART * found["clean"]:
        yield (
            f"the teacher is not robust ({accuracies}): a student has no robustness to "
            "learn from it. Take an adversarially trained one, or pass the "
            "--teacher_eps that it was trained for."
        )


def _check_range(experiment, teacher, images, labels):
    """Refuses a teacher that sees far more where the pixels are scaled otherwise.

    Returns:
        List of warnings: one where it sees a little more, as a robust network of MNIST
        does whose normalisation was forgotten (100 % right, 95.5 % without it).
    """
    mean, deviation = images.mean((0, 1, 2)), images.std((0, 1, 2)) + 1e-6
    shown = [round(float(value), 4) for value in (*mean, *deviation**2)]
    channels = len(mean)
    others = {
        _GREY_LEVELS: (255 * images, "Rescaling(255.0)"),
        _SIGNED: (2 * images - 1, "Rescaling(2.0, offset=-1.0)"),
        "normalised by mean and variance of the channels": (
            (images - mean) / deviation,
            f"Normalization(mean={shown[:channels]}, variance={shown[channels:]})",
        ),
    }
    right = _right(teacher, images, labels)
    better = {k: _right(teacher, scaled, labels) for k, (scaled, _) in others.items()}
    scale = max(better, key=lambda name: better[name].sum())
    gain = int(better[scale].sum()) - int(right.sum())
    # Three standard deviations of a paired count.
    if not gain or gain < 3 * np.sqrt((better[scale] != right).sum()):
        return []
    before, after = (100 * found.mean() for found in (right, better[scale]))
    found = (
        f"classifies {before:.1f} % of {len(images)} test images of "
        f"{experiment.data.source} in [0, 1], and {after:.1f} % of the same images "
        f"{scale}"
    )
    flag = ""
    if scale in _FLAGS and not experiment.teacher.input_range:
        flag = f"Pass --teacher_input_range={_FLAGS[scale]}. Or: "
    way_out = (
        f"{flag}Networks take images in [0, 1] here; put it in front (with the numbers "
        "that the teacher was trained with) and save: images = "
        f"keras.Input({images.shape[1:]}); keras.Model(images, "
        f"teacher(keras.layers.{others[scale][1]}(images))).save('teacher.keras')."
    )
    if gain < 0.2 * len(images):
        return [f"the teacher {found}: is its preprocessing inside of it? {way_out}"]
    raise ValueError(
        f"--teacher_checkpoint={experiment.teacher.checkpoint} {found}: its "
        f"preprocessing is not inside of it. {way_out}"
    )


def _right(teacher, images, labels):
    """Which images it classifies correctly: bool (images,)."""
    parts = range(0, len(images), _BATCH)
    logits = [
        np.asarray(teacher(images[i : i + _BATCH], training=False)) for i in parts
    ]
    return np.concatenate(logits).argmax(-1) == labels


def _check_digest(earlier, folder):
    """Refuses a run whose teacher's file is another one than when it began."""
    try:
        if earlier["sha256"] in checkpoints.known_digests(earlier["file"]):
            return
        now = checkpoints.digest(earlier["file"])
    except (OSError, ValueError):
        # The run has its own copy, teacher.keras, and may have moved.
        return
    raise ValueError(
        f"the file is not the one that the run of {folder.path} began with (sha256 "
        f"{now[:12]} now, {earlier['sha256'][:12]} then): put that one back, or pass "
        "another --run_dir."
    )
