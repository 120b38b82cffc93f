"""Whether robustness comes from the teacher, as far as a table's controls tell."""

import re
from collections.abc import Iterable, Iterator

from igam_tf.evaluation.paired import attacks_of, compare_many
from igam_tf.reports.names import attack_title
from igam_tf.training.methods import METHODS

# Forms of names; an attack is of the last one that its name has.
_WEAKEST_FIRST = [
    re.compile(form)
    for form in (
        "fgsm", "(?!fgsm)", r"(pgd|cw)\d", "apgd-", r"pgd\d+-t", "apgd-t", "autoattack",
    )
]  # fmt: skip


def transfer(*results: dict) -> list[dict]:
    """What each method's teacher adds to the best of its controls.

    Args:
        *results: contents of results.json, of one run or of several that differ in
            their seed; a control row has "control_of", the key of the row that it
            belongs to.

    Returns:
        List of dicts, one for each row of a method that matches a teacher: "row", its
        key; "label"; "best_control" and its "control_label": the control with the
        highest accuracy under the strongest attack, or None without controls;
        "possible_controls": those that the row can have, names in `--controls`;
        "comparison", what `igam_tf.evaluation.compare_many` returns of the two, or None
        where they cannot be compared; and "num_seeds".
    """
    rows_of_seeds = [result["rows"] for result in results]
    settings = results[0].get("settings") or {}
    return [
        {
            **_against_controls(rows_of_seeds, key),
            "possible_controls": _possible_controls(key, row, settings),
        }
        for key, row in rows_of_seeds[0].items()
        if _matches_a_teacher(row.get("method", key)) and not row.get("control_of")
    ]


def _matches_a_teacher(method):
    """Whether a method's rows claim that a teacher's gradients made them robust."""
    return method in METHODS and METHODS[method].has_controls


def _possible_controls(key, row, settings):
    """Names in `--controls` of those that a row can have, with the settings it has."""
    settings = {**settings, **(row.get("settings") or {})}
    names = METHODS[row.get("method", key)].from_flags(settings).controls()
    # It is trained on the source, which a teacher from a file does not need.
    without_source = settings.get("source") == ""
    return [n for n in names if not (without_source and n == "natural_teacher")]


def sentences(found: Iterable[dict], row: str | None = None) -> Iterator[str]:
    """Yields what `transfer` found, a sentence for each row, or for one of them."""
    for entry in found:
        if row not in (None, entry["row"]):
            continue
        label, numbers = entry["label"], entry["comparison"]
        if entry["best_control"] is None:
            yield (
                f"No controls of {label}: nothing here says that its robustness comes "
                f"from the teacher. Add --controls={','.join(_to_add(entry))}."
            )
        elif numbers is None:
            yield (
                f"{label} and {entry['control_label']} were not evaluated image by "
                "image under one attack: evaluate both anew to compare them."
            )
        else:
            yield _sentence(entry, numbers)


def _to_add(entry):
    # Results of earlier versions do not say which ones their rows can have.
    every = ("natural_teacher", "random_teacher", "zero", "shuffled")
    return entry.get("possible_controls", every)


def _sentence(entry, numbers):
    low, high = (100 * end for end in numbers["interval"])
    seeds = entry["num_seeds"]
    networks = f"{seeds} seeds" if seeds > 1 else "one network each"
    test = "paired t test, p" if numbers.get("num_pairs", 1) > 1 else "McNemar p"
    measured = (
        f"{entry['label']} minus the best of its controls ({entry['control_label']}): "
        f"{100 * numbers['difference']:+.1f} points under "
        f"{attack_title(numbers['attack'])} (95 % interval {low:+.1f} to {high:+.1f}, "
        f"{test} = {numbers['p_value']:.2g}, {numbers['num_examples']} images, "
        f"{networks})"
    )
    return (
        f"{measured}. "
        + {
            1: "The teacher's gradients add robustness here.",
            0: "Undecided: this does not show that robustness comes from the teacher.",
            -1: "The teacher's gradients take robustness away here.",
        }[numbers["decided"]]
    )


def _against_controls(rows_of_seeds, key):
    rows = rows_of_seeds[0]
    controls = [name for name, row in rows.items() if row.get("control_of") == key]
    found = {"row": key, "label": rows[key]["label"], "num_seeds": len(rows_of_seeds)}
    found |= {"best_control": None, "control_label": None, "comparison": None}
    if not controls:
        return found
    evaluations = {
        name: [of_seed[name]["evaluation"] for of_seed in rows_of_seeds]
        for name in (key, *controls)
    }
    every = [one for of_row in evaluations.values() for one in of_row]
    attack = strongest(
        name
        for name in attacks_of(every[0])
        if all(name in attacks_of(one) for one in every)
    )

    def accuracy(name):
        return sum(one["attacks"][attack]["accuracy"] for one in evaluations[name])

    best = controls[0] if attack is None else max(controls, key=accuracy)
    found |= {"best_control": best, "control_label": rows[best]["label"]}
    if attack is not None:
        pairs = list(zip(evaluations[key], evaluations[best], strict=True))
        found["comparison"] = compare_many(pairs, attack)
    return found


def strongest(attacks: Iterable[str]) -> str | None:
    """The attack to judge by; None where there is none but "clean".

    AutoAttack, else APGD towards other classes, PGD towards them, other APGD, PGD of
    the most steps, any other, FGSM; of these rather one in the evaluation's own ball.

    Args:
        attacks: names, such as "pgd20x5" or "autoattack@4/255"; "clean" and
            "worst_case" are none.
    """

    def strength(name):
        base = name.split("@")[0]
        kinds = [kind for kind, form in enumerate(_WEAKEST_FIRST) if form.match(base)]
        steps = re.match(r"(?:pgd|cw)(\d+)(?:-t)?(?:x(\d+))?$", base)
        count = int(steps[1]) * int(steps[2] or 1) if steps else 0
        return (max(kinds), count, len(base))

    found = [name for name in attacks if name not in ("clean", "worst_case")]
    own = [name for name in found if "@" not in name and name != "fgsm"]
    return max(own or found, key=strength, default=None)
