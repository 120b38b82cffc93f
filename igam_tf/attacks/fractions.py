"""Sizes of perturbations as people write them."""

import fractions
import math


def fraction(value: float) -> str:
    """A distance between images as text: "8/255", "0.15", and not 0.0313725490196.

    Args:
        value: number, as a fraction of the pixel range.

    Returns:
        Text that Python reads as the same number, to 6 digits.
    """
    short = f"{value:.3g}"
    levels = value * 255
    if float(short) != value and abs(levels - round(levels)) < 1e-9:
        return f"{round(levels)}/255"
    return f"{value:.6g}"


def parse_fraction(text: str | float) -> float:
    """The number that a text such as "8/255", "0.5/255" or "0.03" stands for.

    Args:
        text: a number, or two with a slash between.

    Returns:
        float.

    Raises:
        ValueError: if it is none, or too large for a float.
    """
    parts = str(text).split("/")
    try:
        if len(parts) > 2:
            raise ValueError(text)
        exact = [_exact(part) for part in parts]
        return float(exact[0] / exact[1] if len(exact) == 2 else exact[0])
    except (ValueError, ZeroDivisionError, OverflowError):
        raise ValueError(
            f"{text!r}: expected a finite number such as 8/255, 0.5/255 or 0.03."
        ) from None


def _exact(text):
    """The number as a fraction, so that 8/255 is the float nearest to it."""
    about = float(text)
    if not math.isfinite(about):
        raise OverflowError(text)
    # An exponent in the millions would be written out, digit by digit.
    return fractions.Fraction(text.strip()) if about else 0
