"""No private name of Keras or TensorFlow outside of `igam_tf.compat`."""

import ast
import importlib
import pathlib
import pkgutil
import re

import keras

import igam_tf
from igam_tf import compat

PACKAGE = pathlib.Path(igam_tf.__file__).parent
BESIDE = [PACKAGE.parent / name for name in ("benchmarks", "tools")]
FILES = sorted(path for root in (PACKAGE, *BESIDE) for path in root.rglob("*.py"))
# Python documents these with the underscore: those of named tuples, and os._exit.
DOCUMENTED = {"_replace", "_asdict", "_fields", "_make", "_exit"}
# Without an underscore, and in no documentation either.
UNDOCUMENTED = {
    "experimental_get_compiler_ir",
    "inner_optimizer",
    "handle",
    "momentums",
}
# Public packages; anything below them is not.
PUBLIC = {"keras", "keras.ops", "tensorflow", "tensorflow_datasets"}


def own_names(tree):
    """Names that this file defines or assigns: its own private ones."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


TREES = {path: ast.parse(path.read_text()) for path in FILES}
OWN = {name for tree in TREES.values() for name in own_names(tree)}


def foreign(tree):
    """Private or undocumented names that this file takes from elsewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = node.attr
            private = re.match(r"_[^_]", name) and name not in OWN | DOCUMENTED
            wraps = name == "call" and isinstance(node.ctx, ast.Store)
            if private or wraps or name in UNDOCUMENTED:
                yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Import):
            names = {alias.name for alias in node.names} - PUBLIC
            yield from (n for n in names if n.split(".")[0] in PUBLIC)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in PUBLIC and node.module not in PUBLIC:
                yield f"line {node.lineno}: from {node.module} import ..."


def test_private_names_stand_in_compat():
    found = {
        str(path.relative_to(PACKAGE.parent)): names
        for path, tree in TREES.items()
        if path.parent != PACKAGE / "compat" and (names := list(foreign(tree)))
    }
    assert found == {}


def test_the_search_finds_private_names():
    text = """
import keras.src
from tensorflow.python.ops import math_ops
model._flatten_layers()
variable.value.handle
layer.call = other
"""
    assert len(list(foreign(ast.parse(text)))) == 5
    assert list(foreign(TREES[PACKAGE / "compat" / "__init__.py"]))


def subclasses_of_keras():
    """Classes of the package that derive from one of Keras."""
    for info in pkgutil.walk_packages(igam_tf.__path__, "igam_tf."):
        needs_jax = info.name.startswith(("igam_tf.export.runner", "igam_tf.pjrt"))
        if needs_jax or info.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and value.__module__ == info.name:
                if any(base.__module__.startswith("keras") for base in value.__mro__):
                    yield value


def test_no_private_name_of_keras_is_overridden_by_accident():
    """A release may give a layer or a model the private name that we gave ours."""
    found = list(subclasses_of_keras())
    assert len(found) > 10
    for cls in found:
        theirs = {
            name
            for base in cls.__mro__
            if base.__module__.startswith("keras")
            for name in vars(base)
        }
        path = pathlib.Path(importlib.import_module(cls.__module__).__file__)
        tree = next(
            node
            for node in ast.walk(TREES[path])
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__
        )
        ours = {name for name in own_names(tree) if re.match(r"_[^_]", name)}
        assert ours & theirs == set(), cls


def test_bounds_of_the_versions():
    """What the messages say is tested is what setup.py allows."""
    setup = (PACKAGE.parent / "setup.py").read_text()
    for requirement in re.findall(r"'([^']+)'", compat.TESTED):
        assert f'"{requirement}"' in setup
    installed = keras.__version__.split(".")[:2]
    assert f"Keras {'.'.join(installed)}" in compat.TESTED
