"""Names of figures, attacks and settings that reports show, without TensorFlow."""

import pathlib
import re

FIGURES = ("input_gradients", "surfaces", "bars", "alignment", "curves")
#: Those that are drawn from the students and test images.
OF_MODELS = ("input_gradients", "surfaces", "alignment")
# Paths of the machine that trained: nobody else's business, and of no use elsewhere.
_PRIVATE = ("data_dir", "run_dir")
# Of these files only the name.
_FILES = ("teacher_checkpoint", "student_model", "score_model")
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


def public_settings(settings: dict) -> dict:
    """Settings of a run without paths of the machine that trained."""
    return {
        name: pathlib.PurePath(value).name if name in _FILES else value
        for name, value in settings.items()
        if name not in _PRIVATE
    }
