"""Names of attacks as written on a command line. Nothing here imports TensorFlow."""

import re

_PGD = r"(?P<kind>pgd|cw)(?P<steps>\d+)(x(?P<restarts>\d+))?"
_SQUARE = r"square(?P<queries>\d+)?"
_FIXED = (
    "clean",
    "fgsm",
    "autoattack",
    "autoattack-rand",
    "apgd-ce",
    "apgd-dlr",
    "apgd-t",
    "fab-t",
    "spsa",
)
_FORM = re.compile("|".join([*map(re.escape, _FIXED), _PGD, _SQUARE]))

EXPECTED = (
    "'clean', 'fgsm', 'pgdK' or 'cwK' with K steps, either with N restarts as in "
    "'pgd20x5', 'autoattack', 'apgd-ce', 'apgd-dlr', 'apgd-t', 'fab-t', 'square' (or "
    "'squareN' with N queries), 'spsa' or 'autoattack-rand'"
)


def match(name):
    """The parts of an attack's name.

    Args:
        name: see `EXPECTED`.

    Returns:
        Dict with "kind" ("clean", "fgsm", "pgd", "cw", "square", "autoattack", ...),
        and for "pgd" and "cw" "steps" and "restarts", for "square" "queries": integers,
        or None where the name does not say.

    Raises:
        ValueError: if the name has none of these forms, or a number of zero.
    """
    form = _FORM.fullmatch(name) if isinstance(name, str) else None
    if form is None:
        raise ValueError(f"attack {name!r}: expected {EXPECTED}.")
    groups = form.groupdict()
    if groups["kind"]:
        return {
            "kind": groups["kind"],
            "steps": int(groups["steps"]),
            "restarts": groups["restarts"] and int(groups["restarts"]),
        }
    if name in _FIXED:
        return {"kind": name}
    return {"kind": "square", "queries": groups["queries"] and int(groups["queries"])}


def check(name):
    """Raises ValueError unless `name` is an attack's name, with numbers in range."""
    for part, value in match(name).items():
        if part != "kind" and value is not None and value < 1:
            raise ValueError(
                f"attack {name!r}: {part} is {value}, expected at least 1."
            )
        if part != "kind" and value is not None and value > 2**31 - 1:
            raise ValueError(
                f"attack {name!r}: {part} is {value}, expected at most {2**31 - 1}."
            )
