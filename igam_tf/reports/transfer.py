"""Does robustness come from the teacher? What a table may say, and no more."""

import re

from igam_tf.evaluation.paired import attacks_of, compare
from igam_tf.reports.names import attack_title

#: Methods whose rows claim that a teacher's input gradients made them robust.
METHODS = ("igam", "kdiga")


def transfer(results):
    """What each method's teacher adds to the best of its controls.

    Args:
        results: contents of results.json; a control row has "control_of", the key of the
            row that it belongs to.

    Returns:
        List of dicts, one for each row of a method that matches a teacher: "row", its
        key; "label"; "best_control", the key of the control with the highest accuracy
        under the strongest attack, or None without controls; and "comparison", what
        `igam_tf.evaluation.compare` returns of the two, or None where they cannot be
        compared.
    """
    rows = results["rows"]
    return [
        _against_controls(rows, key)
        for key, row in rows.items()
        if row.get("method", key) in METHODS and not row.get("control_of")
    ]


def sentences(results, row=None):
    """Yields what `transfer` found, a sentence for each row, or for one of them."""
    for found in transfer(results):
        if row not in (None, found["row"]):
            continue
        label, best, numbers = found["label"], found["best_control"], found["comparison"]
        if best is None:
            yield (
                f"No controls of {label}: nothing here says that its robustness comes "
                "from the teacher. Add --controls=natural_teacher,random_teacher,zero,"
                "shuffled."
            )
            continue
        control = results["rows"][best]["label"]
        if numbers is None:
            yield (
                f"{label} and {control} were not evaluated image by image under one "
                "attack: evaluate both anew to compare them."
            )
            continue
        yield _sentence(label, control, numbers)


def _sentence(label, control, numbers):
    low, high = (100 * end for end in numbers["interval"])
    measured = (
        f"{label} minus the best of its controls ({control}): "
        f"{100 * numbers['difference']:+.1f} points under "
        f"{attack_title(numbers['attack'])} (95 % interval {low:+.1f} to {high:+.1f}, "
        f"McNemar p = {numbers['p_value']:.2g}, {numbers['num_examples']} images, one "
        "network each)"
    )
    return f"{measured}. " + {
        1: "The teacher's gradients add robustness here.",
        0: "Undecided: this does not show that robustness comes from the teacher.",
        -1: "The teacher's gradients take robustness away here.",
    }[numbers["decided"]]


def _against_controls(rows, key):
    found = {"row": key, "label": rows[key]["label"]}
    evaluation = rows[key]["evaluation"]
    controls = {
        name: row["evaluation"]
        for name, row in rows.items()
        if row.get("control_of") == key
    }
    if not controls:
        return {**found, "best_control": None, "comparison": None}
    attack = _strongest(
        name
        for name in attacks_of(evaluation)
        if all(name in attacks_of(other) for other in controls.values())
    )
    if attack is None:
        return {**found, "best_control": next(iter(controls)), "comparison": None}
    best = max(controls, key=lambda name: controls[name]["attacks"][attack]["accuracy"])
    numbers = compare(evaluation, controls[best], attack)
    return {**found, "best_control": best, "comparison": numbers}


def _strongest(attacks):
    """AutoAttack, else PGD of the most steps, else another attack; None without one."""

    def strength(name):
        steps = re.fullmatch(r"pgd(\d+)(?:x(\d+))?", name)
        if name == "autoattack":
            return (3, 0)
        return (2, int(steps[1]) * int(steps[2] or 1)) if steps else (1, 0)

    found = [name for name in attacks if name not in ("clean", "worst_case")]
    return max(found, key=strength, default=None)
