"""Names of a package that are imported when they are first used.

So `run.py --help` answers without TensorFlow, and `igam_tf.export.runner` runs where
there is none.
"""

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def exports(
    package: str,
    places: Mapping[str, str | None],
    *,
    defined: Iterable[str] = (),
    moved: Mapping[str, str] | None = None,
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """What the `__init__` of a package needs to import its names lazily.

        __all__, __getattr__, __dir__ = lazy.exports(
            __name__, {"pgd": "gradient_attack"}
        )

    Args:
        package: the package's `__name__`.
        places: dict from public name to the module of the package that defines it, or
            None for a name that is a module itself.
        defined: public names that `__init__` defines.
        moved: dict from the earlier name of a module to its place in the package: such
            names are found for one more release, with a warning, and are not public.

    Returns:
        Tuple (list of names, function of a name, function without arguments).
    """
    names = sorted([*places, *defined])

    moved = moved or {}

    def find(name: str) -> Any:
        if name in moved:
            place = f"{package}.{moved[name]}"
            warnings.warn(
                f"{package}.{name} is now {place}; the old name goes with the next "
                "release.",
                DeprecationWarning,
                stacklevel=2,
            )
            return importlib.import_module(place)
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if places[name] is None:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return names, find, lambda: names
