"""`--import=FILE.py`: a file of one's own that is run before anything is read.

It may define layers and models, register data sets (`igam_tf.data.register`) and
methods (`igam_tf.training.methods.register`), and import what it needs from beside it.
"""

import importlib.util
import pathlib
import sys
from collections.abc import Sequence

_FLAG = "import"


def named(arguments: Sequence[str]) -> list[str]:
    """The files of all `--import` among command line arguments."""
    found, takes_next = [], False
    for argument in arguments:
        if takes_next:
            found += argument.split(",")
            takes_next = False
            continue
        flag, equals, value = argument.partition("=")
        if flag.lstrip("-") == _FLAG and flag.startswith("-"):
            found += value.split(",") if equals else []
            takes_next = not equals
    return found


def import_files(files: Sequence[str]) -> None:
    """Runs Python files as modules, each once.

    Classes of layers and models that they define are found by their names when a model
    is loaded, registered with Keras or not.

    Args:
        files: paths that end in .py; each one's folder is searched for what it imports.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no Python file, or raises an error; with the line.
    """
    for file in files:
        path = pathlib.Path(file).expanduser().resolve()
        if path.suffix != ".py":
            raise ValueError(f"--import={file}: expected a Python file, NAME.py.")
        if not path.is_file():
            raise FileNotFoundError(f"--import={file}: there is no such file.")
        _announce(_module(path, file))


def _module(path, file):
    loaded = sys.modules.get(path.stem)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
        raise ValueError(
            f"--import={file}: a module named {path.stem!r} is there already; give the "
            "file another name."
        )
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"--import={file}: expected a Python file, NAME.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    # Whatever the user's own lines raise.
    except Exception as error:
        del sys.modules[path.stem]
        raise ValueError(
            f"--import={file}: {type(error).__name__}: {error}{_line(error, path)}."
        ) from error
    return module


def _line(error, path):
    """Where in the file an error came from, if it did."""
    trace, line = error.__traceback__, 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f" (line {line})" if line else ""


def _announce(module):
    """Lets Keras find the layers and models of a module by their names."""
    import keras

    known = keras.saving.get_custom_objects()
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", None) == module.__name__
        if is_own and isinstance(value, type) and issubclass(value, keras.Operation):
            known.setdefault(name, value)
