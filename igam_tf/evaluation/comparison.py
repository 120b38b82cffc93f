"""Two evaluations compared under every attack that both have, and what must agree."""

import math

from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.corruptions.comparison import compare_corruptions
from igam_tf.evaluation.paired import attacks_of, compare

_WORST_CASE = "worst_case"
# Checks that a panel makes where others found something, or the model has batch norm.
_BY_WHAT_IS_FOUND = frozenset({"spsa", "batch_dependent", "batch_norm"})


def compare_evaluations(
    first: dict, second: dict, *, confidence: float = 0.95
) -> dict[str, object]:
    """Compares two evaluations image by image, under each attack that both have.

    Each attack is compared by itself, as `igam_tf.evaluation.compare` does; p-values
    are not corrected for the number of attacks. The worst case is compared only where
    both models faced the same attacks: of two models, the one that was attacked by more
    would lose for that alone. A panel counts as the same with as many images, the same
    seed and the same models to transfer from.

    Args:
        first, second: results of `igam_tf.evaluate`.
        confidence: of the intervals.

    Returns:
        Dict, ready for JSON: "num_examples", "threat_model", "eps", "confidence",
        "attacks" (dict from attack to what `compare` returns) and "notes" (sentences
        about what was left out, or differs without forbidding the comparison);
        "corruptions", what `compare_corruptions` returns, if both have some.

    Raises:
        ValueError: if either has no outcomes, if they have no attack in common, or if
            images, norm or radius differ.
    """
    _check_threat_models(first, second)
    names = [name for name in attacks_of(first) if name in attacks_of(second)]
    only = [name for name in attacks_of(first) if name not in names]
    only += [name for name in attacks_of(second) if name not in names]
    is_fair = not only and _panel_of(first) == _panel_of(second)
    notes = _notes(first, second, names)
    if only:
        notes.append(f"In one of the two only, and not compared: {', '.join(only)}.")
    if _WORST_CASE in names and not is_fair:
        names.remove(_WORST_CASE)
        notes.append(
            "The worst cases are not compared, because the two models did not face the "
            "same attacks (the panel's among them)."
        )
    if not names:
        raise ValueError(
            "the two results have no attack in common "
            f"({', '.join(attacks_of(first)) or 'no outcomes'}; "
            f"{', '.join(attacks_of(second)) or 'no outcomes'}): expected outcomes of "
            "the same attack; evaluate both models with the same --attacks."
        )
    compared = {
        name: compare(first, second, name, confidence=confidence) for name in names
    }
    corruptions, told = _corruptions(first, second, confidence)
    notes += told
    return {
        "num_examples": first["num_examples"],
        "threat_model": first["threat_model"],
        "eps": first["eps"],
        **{key: first[key] for key in ("held_out_fraction",) if first.get(key)},
        "confidence": confidence,
        "attacks": compared,
        **({"corruptions": corruptions} if corruptions else {}),
        "notes": notes,
    }


def _corruptions(first, second, confidence):
    """The comparison under corruptions, if there can be one, and notes."""
    both = [result.get("corruptions") for result in (first, second)]
    if not any(both):
        return {}, []
    if not all(both):
        return {}, ["Corruptions are in one of the two only, and not compared."]
    try:
        return compare_corruptions(*both, confidence=confidence), []
    except ValueError as error:
        return {}, [f"Corruptions are not compared: {error}"]


def _panel_of(result):
    """What a panel tried that depends on nothing it found, or None without one."""
    panel = result.get("panel")
    if not panel:
        return None
    checks = panel.get("checks", {})
    sources = set(checks.get("transfer", {}).get("values", ())) - {"before"}
    return (
        *(panel.get(name) for name in ("num_examples", "batch_norm", "seed")),
        checks.keys() - _BY_WHAT_IS_FOUND,
        sources,
    )


def _check_threat_models(first, second):
    for key, what in (("threat_model", "norm"), ("eps", "radius")):
        one, other = first.get(key), second.get(key)
        same = one == other
        if key == "eps" and None not in (one, other):
            same = math.isclose(one, other, rel_tol=1e-9)
            one, other = fraction(one), fraction(other)
        if not same or one is None:
            raise ValueError(
                f"the {what} of the two results is {one} and {other}: expected one "
                "threat model, because another ball is another question; evaluate both "
                "with the same --norm and --eps."
            )


def _notes(first, second, names):
    notes = []
    modes = [result.get("batch_norm") for result in (first, second)]
    if modes[0] != modes[1]:
        notes.append(f"Batch norm is in another mode: {modes[0]} and {modes[1]}.")
    for name in names:
        attacks = [
            result["attacks"].get(name, {}).get("attack") for result in (first, second)
        ]
        if attacks[0] != attacks[1]:
            notes.append(f"{name} is not the same: {attacks[0]} and {attacks[1]}.")
    return notes
