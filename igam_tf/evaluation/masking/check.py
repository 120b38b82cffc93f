"""One check of the panel: what was measured, against what, in a plain sentence."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Check:
    """What one check found.

    Attributes:
        name: name of the check.
        values: what was measured: a number, or a dict of numbers.
        threshold: what `values` was compared with, likewise.
        warns: whether robust accuracy of this model cannot be believed as it stands.
        sentence: what was found and what it means, for people.
        source: who proposed the check, or where its threshold is from.
    """

    name: str
    values: Any
    threshold: Any
    warns: bool
    sentence: str
    source: str

    def __post_init__(self) -> None:
        # What NumPy compares is no JSON.
        object.__setattr__(self, "warns", bool(self.warns))


_NEGLIGIBLE = 0.02


def is_negligible(difference: float) -> bool:
    """Whether two attacks do alike, which differ by this share of the images.

    Above it, and below what a check asks for, there is neither a warning nor an
    all-clear.
    """
    return round(abs(difference), 4) <= _NEGLIGIBLE


def share(mask: np.ndarray) -> float:
    """Mean of a bool array as a float with four digits, for JSON."""
    return round(float(mask.mean()), 4)
