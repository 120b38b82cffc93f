"""Which backend Keras computes with; importable without TensorFlow and Keras."""

import importlib.util
import os
import sys
import warnings


def other_backend() -> str | None:
    """Name of Keras' backend if it is another one than TensorFlow's, else None.

    Before Keras is imported, what KERAS_BACKEND says.
    """
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "config"):
        name = keras.config.backend()
    else:
        name = os.environ.get("KERAS_BACKEND") or "tensorflow"
    return None if name == "tensorflow" else name


def require_tensorflow() -> None:
    """Raises ImportError if Keras has another backend than TensorFlow's."""
    name = other_backend()
    if name is not None:
        raise ImportError(_sentence(name))


def warn_of_others() -> None:
    """Warns of another backend, unless there is no TensorFlow at all.

    Then only `igam_tf.export.runner` is used, which needs none.
    """
    name = other_backend()
    if name is not None and importlib.util.find_spec("tensorflow") is not None:
        warnings.warn(_sentence(name), stacklevel=3)


def _sentence(name):
    return (
        "igam_tf needs Keras' TensorFlow backend to train and to attack, and the "
        f"backend is {name!r}: set KERAS_BACKEND=tensorflow before Keras is imported "
        "(only igam_tf.export.runner works without it)."
    )
