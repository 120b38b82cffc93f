"""The list of methods. Adding one is its file, and a line here."""

import importlib

from igam_tf.training.method_settings import MethodSettings

#: Files of this folder, in the order of the rows of a table.
_FILES = (
    "standard",
    "finetune",
    "igam",
    "kdiga",
    "jarn",
    "gradient_norm",
    "edges",
    "pag",
    "adversarial",
)
_SETTINGS: list[type[MethodSettings]] = [
    importlib.import_module(f"igam_tf.training.{name}").Settings for name in _FILES
]
#: Name in `--methods` -> the class of the method's settings.
METHODS: dict[str, type[MethodSettings]] = {
    settings.name: settings for settings in _SETTINGS
}
