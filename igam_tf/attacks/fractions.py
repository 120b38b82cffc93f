"""Sizes of perturbations as people write them."""


def fraction(value):
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
