"""How data of one's own are read: their size, their split, what is left out."""

import dataclasses
import math
import re
from typing import Any

_SIZE = re.compile(r"(\d+)(?:x(\d+))?")
_SMALLEST, _LARGEST = 4, 4096
AUGMENTATIONS = ("auto", "none", "crop", "flip", "crop_and_flip")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How data of one's own are read; nothing of it concerns registered data sets.

    Args:
        image_size: a side such as 96, or "96x128" (height x width), or a pair: images
            are resized until the shorter side fits, and cropped in the centre. "" or
            None: as they are, if all have one size.
        test_fraction: part of each class that is tested on, where the data have no test
            split of their own. 1: all images are in both splits, to evaluate only.
        split_seed: chooses the test images. A run's other seeds do not, so that a
            model is never evaluated on images that it has seen.
        skip_unreadable: whether images that cannot be decoded are left out, with a
            warning, and not refused.
        augmentation: of training images: "crop" (padded by a sixteenth of the side),
            "flip", "crop_and_flip", "none"; "auto" is crop_and_flip for colour images,
            and none for grey ones, which may be digits or letters.

    Raises:
        ValueError: if a value is out of its range.
    """

    image_size: Any = None
    test_fraction: float = 0.2
    split_seed: int = 0
    skip_unreadable: bool = False
    augmentation: str = "auto"

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", _size(self.image_size))
        fraction = self.test_fraction
        is_number = isinstance(fraction, (int, float)) and not isinstance(
            fraction, bool
        )
        if not (is_number and math.isfinite(fraction) and 0 < fraction <= 1):
            raise ValueError(
                f"test_fraction={fraction!r}: expected the part of the images that "
                "are tested on, above 0 and at most 1; 0.2 is usual."
            )
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"augmentation={self.augmentation!r}: expected one of {AUGMENTATIONS}."
            )


def _size(given: Any) -> tuple[int, int] | None:
    """(height, width) of what was given, or None."""
    if given is None or given == "":
        return None
    if isinstance(given, (tuple, list)):
        text = "x".join(map(str, given))
    else:
        text = str(given)
    found = _SIZE.fullmatch(text.strip())
    if found:
        height = int(found[1])
        width = int(found[2] or height)
        if all(_SMALLEST <= side <= _LARGEST for side in (height, width)):
            return height, width
    raise ValueError(
        f"image_size={given!r}: expected a side in pixels such as 96, or height x "
        f"width such as 96x128, from {_SMALLEST} to {_LARGEST}."
    )
