"""Names of a package that are imported when they are first used.

So `run.py --help` answers without TensorFlow, and `igam_tf.export.runner` runs where
there is none.
"""

import importlib


def exports(package, places, *, defined=()):
    """What the `__init__` of a package needs to import its names lazily.

        __all__, __getattr__, __dir__ = lazy.exports(
            __name__, {"pgd": "gradient_attack"}
        )

    Args:
        package: the package's `__name__`.
        places: dict from public name to the module of the package that defines it, or
            None for a name that is a module itself.
        defined: public names that `__init__` defines.

    Returns:
        Tuple (list of names, function of a name, function without arguments).
    """
    names = sorted([*places, *defined])

    def find(name):
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if places[name] is None:
            return importlib.import_module(f"{package}.{name}")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return names, find, lambda: names
