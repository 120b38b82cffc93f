"""Results under the names that RobustBench's `model_info` files have."""

from igam_tf.attacks.fractions import fraction


def model_info(model, *, clean, attacks, autoattack, worst_case, eps, unreliable):
    """What RobustBench's JSON file of a model says, as far as it is measured here.

    Args:
        model: Keras model.
        clean: entry of clean images, with "accuracy".
        attacks: dict from name to entry.
        autoattack: name of standard AutoAttack among them, or None.
        worst_case: entry of the images that stand under all attacks.
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
