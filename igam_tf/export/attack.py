"""Exports an attack on a classifier as a program that needs no TensorFlow."""

import os

import keras
import tensorflow as tf

from igam_tf.attacks.attack import Attack, check_in_graph
from igam_tf.attacks.classifier import logits_of
from igam_tf.export.manifest import batch_specs, common_manifest
from igam_tf.export.program import STABLEHLO_VERSION, lower
from igam_tf.export.runner import folder
from igam_tf.export.variables import STUDENT, Captures
from igam_tf.pixels import as_float


def export_attack(
    model: keras.Model,
    attack: Attack | None,
    batch: tuple[object, object],
    path: str | os.PathLike,
    *,
    save_state: bool = True,
    stablehlo_version: str = STABLEHLO_VERSION,
) -> str | os.PathLike:
    """Writes an attack on a classifier as StableHLO, with the classifier's weights.

    The program takes images, labels and a seed for each image, and returns adversarial
    images, and logits before and after. Random starts depend on the seed and an
    image's place in its data set, as in `igam_tf.evaluate`.

    Its variables have the names they have in an exported step of the same student: it
    also attacks what was trained since
    (`runner.load(path).run(..., weights=step.state)`).

    Args:
        model: keras.Model from images to logits, or a training method: its student.
        attack: a `GraphAttack` of `igam_tf.attacks`, or None for clean accuracy only.
        batch: example (images, labels) of fixed size, as in `export_step`.
        path: folder to write; must not exist.
        save_state: whether to write the weights too.
        stablehlo_version: as in `export_step`.

    Returns:
        The path.

    Raises:
        ValueError: if the batch is not of fixed size or does not fit the model, or the
            attack does not run inside a graph.
        FileExistsError: if the path exists.
    """
    if attack is not None:
        check_in_graph(attack)
    folder.check_new(path)
    model = getattr(model, STUDENT, model)
    inputs = batch_specs(batch, model)
    inputs["seeds"] = tf.TensorSpec([inputs["labels"].shape[0], 2], tf.int32)
    captures = Captures(model)
    run = _attack_function(model, attack)
    programs = {folder.ATTACK: lower(run, inputs, captures, version=stablehlo_version)}
    manifest = {
        **common_manifest("attack", model, inputs, programs, captures),
        "attack": repr(attack) if attack else "clean",
        "seed": attack.seed if attack else 0,
    }
    files = {f"{name}.stablehlo": artifact for name, (artifact, _) in programs.items()}
    folder.write_folder(path, manifest, files, captures.state() if save_state else None)
    return path


def _attack_function(model, attack):
    def run(images, labels, seeds):
        images = as_float(images)
        adversarial = images
        if attack is not None:
            adversarial = attack.perturb(model, images, labels, seed=seeds)
        return {
            "adversarial": adversarial,
            "clean_logits": logits_of(model, images, training=False),
            "logits": logits_of(model, adversarial, training=False),
        }

    return run
