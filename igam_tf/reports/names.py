"""Names of the figures of a run, and titles of attacks, without TensorFlow."""

import re

FIGURES = ("input_gradients", "surfaces", "bars", "alignment")
_TITLES = {
    "fgsm": "FGSM",
    "autoattack": "AutoAttack",
    "autoattack-rand": "AutoAttack (rand)",
    "apgd-ce": "APGD-CE",
    "apgd-dlr": "APGD-DLR",
    "apgd-t": "APGD-T",
    "fab-t": "FAB-T",
    "spsa": "SPSA",
    "square": "Square",
}


def attack_title(name: str) -> str:
    """Column title of an attack: "pgd20x5" becomes "PGD-20 x5"."""
    form = re.fullmatch(r"([a-z]+?)(\d+)(?:x(\d+))?", name)
    if form is None:
        return _TITLES.get(name, name)
    kind, steps, restarts = form.groups()
    kind = _TITLES.get(kind, kind.upper())
    return f"{kind}-{steps}" + (f" x{restarts}" if restarts else "")
