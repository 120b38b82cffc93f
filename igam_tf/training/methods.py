"""The list of methods. Adding one is its file, and a line here."""

import importlib
import sys

from igam_tf.training.method_settings import MethodSettings

#: Files of this folder, in the order of the rows of a table.
_FILES = (
    "standard",
    "finetune",
    "igam_settings",
    "kdiga",
    "rrm",
    "jarn",
    "gradient_norm",
    "edges",
    "pag",
    "rslad",
    "igdm",
    "adversarial",
)
_SETTINGS: list[type[MethodSettings]] = [
    importlib.import_module(f"igam_tf.training.{name}").Settings for name in _FILES
]
#: Name in `--methods` -> the class of the method's settings.
METHODS: dict[str, type[MethodSettings]] = {
    settings.name: settings for settings in _SETTINGS
}


def register(settings: type[MethodSettings]) -> None:
    """Adds a method of one's own, as a last row of tables.

    Flags are made from the settings of all methods when `igam_tf.experiment` is
    imported; so this comes before, in a file of `run.py --import=FILE.py`.

    Args:
        settings: class of the method's settings, a frozen dataclass.

    Raises:
        ValueError: if its name is taken, or `igam_tf.experiment` is imported already.
    """
    if METHODS.get(settings.name, settings) is not settings:
        raise ValueError(
            f"a method named {settings.name!r} is there already; choose another name."
        )
    if "igam_tf.experiment.experiment" in sys.modules:
        raise ValueError(
            f"the method {settings.name!r} comes too late, after igam_tf.experiment "
            "was imported: register it before, or by run.py --import=FILE.py."
        )
    METHODS[settings.name] = settings
