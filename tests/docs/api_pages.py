"""API pages, made from the docstrings by pdoc: one for the package, one for each room.

    pip install -e ".[docs]"
    python -m tests.docs.api_pages DIR

then open DIR/index.html. `python -m pdoc igam_tf` alone would show rooms without their
names: it looks them up in a module's dictionary, and ours are imported when they are
first used. Here all of them are used first. Whatever pdoc warns of is an error.
"""

import argparse
import importlib
import os
import pathlib
import pkgutil
import types
import warnings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pdoc

import igam_tf


def resolve(package):
    """Puts every name of `__all__` into a package's dictionary, and into its rooms'.

    Args:
        package: module; a plain one without `__all__` is left as it is.

    Returns:
        Dict from module name to its public names, of the package and of all modules
        that it names.

    Raises:
        AttributeError: if a name does not resolve.
    """
    found = {package.__name__: list(getattr(package, "__all__", []))}
    for name in found[package.__name__]:
        value = getattr(package, name)
        setattr(package, name, value)
        is_module = isinstance(value, types.ModuleType)
        if is_module and value.__name__.startswith(package.__name__ + "."):
            found |= resolve(value)
    if hasattr(package, "__path__"):
        # Modules are what `__all__` names: a file that is called like the function in
        # it (models/vit.py) is none.
        package.__path__ = []
    return found


def _import_all():
    """Imports all modules, as long as they can be found.

    pdoc evaluates the imports that are for type checkers only.
    """
    for info in pkgutil.walk_packages(igam_tf.__path__, "igam_tf."):
        is_program = info.name.endswith("__main__")
        if not is_program and info.name not in ("igam_tf.evaluate", "igam_tf.pjrt"):
            importlib.import_module(info.name)


def build(directory):
    """Writes the pages. For a process of its own: packages cannot be used after it.

    Args:
        directory: folder for the HTML files, made if need be.

    Returns:
        Dict from documented module to its public names.

    Raises:
        AttributeError: if a public name does not resolve.
        Warning: if pdoc could not import a module or read a docstring.
    """
    _import_all()
    documented = resolve(igam_tf)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", module=r"pdoc(\.|$)")
        pdoc.render.configure(docformat="google")
        pdoc.pdoc("igam_tf", output_directory=pathlib.Path(directory))
    return documented


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", help="folder for the HTML files")
    args = parser.parse_args()
    documented = build(args.directory)
    names = sum(map(len, documented.values()))
    print(f"{len(documented)} modules, {names} names: {args.directory}/index.html")


if __name__ == "__main__":
    main()
