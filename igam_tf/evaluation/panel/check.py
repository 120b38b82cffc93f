"""One check of the panel: what was measured, against what, in a plain sentence."""

import dataclasses
import math

_Z_95 = 1.96


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
    values: object
    threshold: object
    warns: bool
    sentence: str
    source: str

    def __post_init__(self):
        # What NumPy compares is no JSON.
        object.__setattr__(self, "warns", bool(self.warns))


def clearly_more(first_only, second_only):
    """Whether two outcomes on the same images differ by more than chance (95 %).

    Args:
        first_only: number of images with the first outcome and not the second.
        second_only: number of images with the second and not the first.

    Returns:
        bool: whether the first is the more frequent one. Source: McNemar (1947).
    """
    return first_only - second_only > _Z_95 * math.sqrt(first_only + second_only)


def share(mask):
    """Mean of a bool array as a float with four digits, for JSON."""
    return round(float(mask.mean()), 4)
