"""The radius in an attack's name: "autoattack@4/255", "pgd20@l2:0.5"."""

import math

from igam_tf.attacks.fractions import fraction, parse_fraction

#: Norm -> what people call it.
NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}
SHOWN = "@EPS or @NORM:EPS, such as pgd20@4/255 or autoattack@l2:0.5"


def split(name: str) -> tuple[str, str | None, float | None]:
    """An attack's name without its radius, and the radius.

    Args:
        name: "NAME", "NAME@EPS" or "NAME@NORM:EPS"; the first has the norm and the
            radius of the evaluation, the second its norm.

    Returns:
        Tuple (name, norm, eps), with None for what is not said.

    Raises:
        ValueError: if what follows the @ is no radius.
    """
    base, at, radius = name.partition("@")
    if not at:
        return base, None, None
    norm, colon, text = radius.rpartition(":")
    try:
        eps = parse_fraction(text)
    except ValueError:
        eps = math.nan
    if (colon and norm not in NORMS) or not eps >= 0:
        raise ValueError(
            f"attack {name!r}: {radius!r} is no radius; expected {SHOWN} (norms: "
            f"{', '.join(NORMS)})."
        )
    if base == "clean":
        raise ValueError(f"attack {name!r}: expected 'clean', which has no radius.")
    return base, norm or None, eps


def is_within(name: str, norm: str, eps: float) -> bool:
    """Whether an attack of this name stays in the ball of an evaluation.

    Args:
        name: see `split`.
        norm: "linf", "l2" or "l1", or as people call them.
        eps: radius of the evaluation.
    """
    _, own_norm, own_eps = split(name)
    return own_norm in (None, norm.lower()) and (own_eps is None or own_eps <= eps)


def title(name: str) -> str:
    """What a column's title adds to that of the attack: "", "4/255" or "L2 0.5"."""
    _, norm, eps = split(name)
    if eps is None:
        return ""
    return f"{NORMS[norm]} {fraction(eps)}" if norm else fraction(eps)
