"""The text of a method: the call that makes it, without its networks and defaults."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from igam_tf.attacks.fractions import fraction

if TYPE_CHECKING:
    from igam_tf.training.base import TrainingMethod


def represented(method: TrainingMethod) -> str:
    """Text such as "IGAM(adversarial_weight=0.5, matching_start=100, attack=pgd(...))".

    Args:
        method: a `TrainingMethod`, which keeps its arguments under their names.
    """
    settings: dict[str, Any] = {}
    for kind in type(method).__mro__:
        if "__init__" not in vars(kind) or not kind.__module__.startswith("igam_tf"):
            continue
        for name, parameter in inspect.signature(
            vars(kind)["__init__"]
        ).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and name != "name":
                settings.setdefault(name, parameter.default)
    shown = []
    for name, default in settings.items():
        value = getattr(method, name, default)
        if value == default or inspect.isfunction(value):
            continue
        text = fraction(value) if isinstance(value, float) else repr(value)
        shown.append(f"{name}={text}")
    return f"{type(method).__name__}({', '.join(shown)})"
