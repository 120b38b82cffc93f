"""Recipes for pairs of tasks that have none: by image size and number of images."""

import pathlib
from collections.abc import Mapping
from typing import Any

from igam_tf.data.registry import DatasetInfo
from igam_tf.experiment.settings import DataSettings

#: Longest side of the images -> name of the recipe; above all, the last one.
_SIDES = {16: "16px", 64: "64px"}
_LARGEST = "224px"
#: With fewer training images than this, epochs are short and there are more of them.
FEW = 2000


def find(given: Mapping[str, Any], folder: pathlib.Path) -> list[pathlib.Path]:
    """The flag files of a pair without a recipe of its own.

    Args:
        given: settings of the command line by flag: source and target, and how data of
            one's own are read.
        folder: of the default recipes.

    Returns:
        List of paths; later ones win.

    Raises:
        ValueError, OSError: if own data are not what they should be; names the flag.
    """
    settings = DataSettings.from_flags(given)
    found = []
    for role, cut in (
        ("source", settings.source_train_examples),
        ("target", settings.train_examples),
    ):
        if role == "source" and not settings.source:
            continue
        info = settings.known(role)
        found.append(folder / f"{role}_{_size(info)}.cfg")
        if _has_few(info, cut):
            found.append(folder / f"{role}_few.cfg")
    return found


def _size(info: DatasetInfo) -> str:
    side = max(info.image_shape[:2])
    return next((name for most, name in _SIDES.items() if side <= most), _LARGEST)


def _has_few(info: DatasetInfo, cut: int) -> bool:
    """Whether training images are few; those of TFDS are not, unless they are cut."""
    counts = [count for count in (info.train_examples, cut) if count]
    return bool(counts) and min(counts) < FEW
