"""Names of figures, attacks and settings that reports show, without TensorFlow."""

import pathlib
import re
from collections.abc import Mapping, Sequence

from igam_tf.attacks import radii
from igam_tf.data import registry

FIGURES = (
    "input_gradients",
    "surfaces",
    "bars",
    "alignment",
    "curves",
    "robustness",
    "class_pairs",
)
#: Those that a run draws at its end.
OF_A_RUN = ("input_gradients", "surfaces", "bars", "curves")
#: Those that are drawn from the students and test images.
OF_MODELS = ("input_gradients", "surfaces", "alignment")
#: What an evaluation has of images that are not the test images of its data set.
HELD_OUT = "held_out_fraction"
# Paths of the machine that trained: nobody else's business, and of no use elsewhere.
_PRIVATE = ("data_dir", "run_dir")
# Of these files only the name.
_FILES = (
    "teacher_checkpoint",
    "student_model",
    "student_checkpoint",
    "score_model",
)
# Of data of one's own, too.
_DATA = ("source", "target")
_TITLES = {
    "fgsm": "FGSM",
    "autoattack": "AutoAttack",
    "autoattack-plus": "AutoAttack+",
    "autoattack-rand": "AutoAttack (rand)",
    "apgd-ce": "APGD-CE",
    "apgd-dlr": "APGD-DLR",
    "apgd-t": "APGD-T",
    "ddn": "DDN",
    "fab": "FAB",
    "fab-t": "FAB-T",
    "fmn": "FMN",
    "fmn-t": "FMN-T",
    "spsa": "SPSA",
    "square": "Square",
}


def attack_title(name: str) -> str:
    """Column title of an attack: "pgd20x5@4/255" becomes "PGD-20 x5, 4/255"."""
    if "@" in name:
        return f"{attack_title(radii.split(name)[0])}, {radii.title(name)}"
    form = re.fullmatch(r"([a-z]+?)(\d+)(-t)?(?:x(\d+))?", name)
    if form is None:
        return _TITLES.get(name, name)
    kind, steps, targeted, restarts = form.groups()
    kind = _TITLES.get(kind, kind.upper())
    title = f"{kind}-{steps}{'-T' if targeted else ''}"
    return title + (f" x{restarts}" if restarts else "")


def titles(rows: Mapping[str, dict]) -> dict[str, str]:
    """What stands for each row in figures and lists: its label.

    Args:
        rows: dict from row name to {"label": text, ...}.

    Returns:
        Dict from row name to a title that no other row has.
    """
    found: dict[str, str] = {}
    for name, row in rows.items():
        label = row["label"]
        # Two rows of one title would be one.
        found[name] = f"{label} ({name})" if label in found.values() else label
    return found


def evaluated_images(found: dict) -> str:
    """What accuracies are of: test images, or training images that were held out.

    Args:
        found: the evaluation of a row, or what has its "held_out_fraction".
    """
    return "held-out training images" if found.get(HELD_OUT) else "test images"


def public_corruptions(asked: Sequence[str]) -> list[str]:
    """The corruptions that were asked for: names, and of a folder the last part."""
    asked = asked.split(",") if isinstance(asked, str) else asked
    return [pathlib.PurePath(text).name for text in asked]


def public_settings(settings: dict) -> dict:
    """Settings of a run without paths of the machine that trained."""
    shown: dict[str, object] = {
        name: pathlib.PurePath(settings[name]).name
        for name in _FILES
        if settings.get(name)
    }
    if settings.get("corruptions"):
        shown["corruptions"] = public_corruptions(settings["corruptions"])
    shown.update({n: registry.short_name(settings[n]) for n in _DATA if n in settings})
    return {
        name: shown.get(name, value)
        for name, value in settings.items()
        if name not in _PRIVATE
    }
