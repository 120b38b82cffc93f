"""How data of one's own are read: their size, their split, what is left out."""

import dataclasses
import math
import re
from typing import Any

_SIZE = re.compile(r"(\d+)(?:x(\d+))?")
_SMALLEST, _LARGEST = 4, 4096
AUGMENTATIONS = (
    "auto",
    "none",
    "crop",
    "flip",
    "crop_and_flip",
    "resized_crop",
    "resized_crop_and_flip",
)
STREAM = ("auto", "true", "false")


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
            "flip", "crop_and_flip", "none"; of streamed images also "resized_crop" (a
            part of random area and shape) and "resized_crop_and_flip". "auto" is
            crop_and_flip, or resized_crop_and_flip of streamed images, for colour
            images, and none for grey ones, which may be digits or letters.
        stream: whether images are decoded when they are needed, and not held in memory:
            "true" or True, "false" or False; "auto": if all of them, decoded, would
            take more than 4 GiB.
        crop_area: least part of the image that a resized crop keeps, in (0, 1].
        center_crop: part of the side that is kept, in (0, 1], of test images, and of
            training images of which no resized crop is taken; 0 or None: 0.875 of
            streamed test images, and the whole of all others.

    Raises:
        ValueError: if a value is out of its range.
    """

    image_size: Any = None
    test_fraction: float = 0.2
    split_seed: int = 0
    skip_unreadable: bool = False
    augmentation: str = "auto"
    stream: Any = "auto"
    crop_area: float = 0.08
    center_crop: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "image_size", _size(self.image_size))
        object.__setattr__(self, "center_crop", self.center_crop or None)
        if isinstance(self.stream, bool):
            object.__setattr__(self, "stream", str(self.stream).lower())
        if not _is_part(self.test_fraction):
            raise ValueError(
                f"test_fraction={self.test_fraction!r}: expected the part of the "
                "images that are tested on, above 0 and at most 1; 0.2 is usual."
            )
        if self.stream not in STREAM:
            raise ValueError(f"stream={self.stream!r}: expected one of {STREAM}.")
        if not _is_part(self.crop_area):
            raise ValueError(
                f"crop_area={self.crop_area!r}: expected the least part of an image "
                "that a random crop keeps, above 0 and at most 1; 0.08 is usual."
            )
        if self.center_crop is not None and not _is_part(self.center_crop):
            raise ValueError(
                f"center_crop={self.center_crop!r}: expected the part of the side that "
                "is kept of an image, above 0 and at most 1; 0.875 is usual of test "
                "images, 0 leaves the choice to the data."
            )
        if self.augmentation not in AUGMENTATIONS:
            raise ValueError(
                f"augmentation={self.augmentation!r}: expected one of {AUGMENTATIONS}."
            )

    def kept(self, split: str) -> float | None:
        """Part of the side that is kept of streamed images, as `StreamedImages` has it.

        Args:
            split: "train" or "test"; training images are what they are in memory.
        """
        return self.center_crop or (1.0 if split == "train" else None)


def _is_part(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and 0 < value <= 1


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
