"""Input transforms: what of a target image the teacher gets to see (Eq. 15)."""

from igam_tf.transforms.input_transforms import (
    TRANSFORMS,
    LegacyResize,
    chosen,
    gradient_window,
    input_transform,
    legacy_bilinear_matrix,
)
from igam_tf.transforms.padding import RandomPad, random_offsets, randomize

__all__ = [
    "TRANSFORMS",
    "LegacyResize",
    "RandomPad",
    "chosen",
    "gradient_window",
    "input_transform",
    "legacy_bilinear_matrix",
    "random_offsets",
    "randomize",
]
