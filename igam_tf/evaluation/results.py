"""The result of an evaluation: a dict that is ready for JSON."""

import platform

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from igam_tf.attacks import AutoAttack
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.counting import Counter
from igam_tf.evaluation.masking import (
    order_warnings,
    precision_warnings,
    reach_warnings,
)
from igam_tf.evaluation.request import Request


def assembled(
    request: Request, counter: Counter, *, panel: dict | None, ranges: list[str]
) -> dict:
    """What `igam_tf.evaluate` returns, but for the seconds.

    Args:
        request: what was asked for.
        counter: what was counted.
        panel: what `masking_panel` returns, or None.
        ranges: what `range_warnings` returns.
    """
    attacks, model = request.attacks, request.model
    entries, worst_case = counter.entries(), counter.worst_case()
    order = order_warnings(attacks, entries)
    # What the attacks asked for show on all images, the panel need not say again.
    said = {"pgd_steps"} if order else set()
    found = [name for name in panel["warns"] if name not in said] if panel else []
    if ranges:
        # Signs of masking in a model given images that it is not for mean nothing.
        order, found = [], []
    precision = precision_warnings(model)
    sentences = [panel["checks"][name]["sentence"] for name in found] if panel else []
    return {
        "attacks": entries,
        "worst_case": worst_case,
        **request.settings,
        "num_examples": counter.num_examples,
        "outcomes": counter.outcomes(),
        "warnings": ranges + precision + order + reach_warnings(attacks) + sentences,
        "panel": panel,
        "robustbench": model_info(
            model,
            clean=counter.clean(),
            attacks=entries,
            worst_case=worst_case,
            eps=float(request.eps),
            autoattack=_standard_autoattack(request),
            unreliable=bool(ranges or precision or order or found),
        ),
        "versions": _versions(),
    }


def model_info(
    model: keras.Model,
    *,
    clean: dict,
    attacks: dict[str, dict],
    autoattack: str | None,
    worst_case: dict,
    eps: float,
    unreliable: bool,
) -> dict[str, str | int | bool]:
    """What RobustBench's JSON file of a model says, as far as it is measured here.

    Args:
        model: Keras model.
        clean: entry of clean images, with "accuracy".
        attacks: dict from name to entry.
        autoattack: name of standard AutoAttack among them, or None.
        worst_case: entry of the images that are robust under all attacks.
        eps: radius of the ball.
        unreliable: whether the masking panel warns.

    Returns:
        Dict. Accuracies are percent as text with two digits, as there.
        "autoattack_acc" is there if AutoAttack was run, "external" if other attacks
        together with it leave less. "link", "name", "authors", "venue", "dataset" and
        "additional_data" are for the caller to add.

    Source: github.com/RobustBench/robustbench, model_info/*/*/*.json.
    """
    info = {
        "architecture": model.name,
        "number_forward_passes": 1,
        "eps": fraction(eps),
        "clean_acc": _percent(clean),
    }
    if autoattack:
        info["autoattack_acc"] = _percent(attacks[autoattack])
        if worst_case["num_correct"] < attacks[autoattack]["num_correct"]:
            info["external"] = _percent(worst_case)
    info["unreliable"] = unreliable
    return info


def _percent(entry):
    return f"{100 * entry['accuracy']:.2f}"


def _standard_autoattack(request):
    """The name of standard AutoAttack among the attacks in the ball, or None."""
    ball = request.eps, request.norm
    for name, attack in request.attacks.items():
        if isinstance(attack, AutoAttack) and attack.version == "standard":
            if (attack.eps, attack.norm) == ball:
                return name
    return None


def _versions():
    return {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
        "igam_tf": igam_tf.__version__,
        "python": platform.python_version(),
    }
