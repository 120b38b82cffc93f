"""Evaluation: how many images a classifier gets right, clean and under attack."""

import importlib

_NAMES = {
    "alignment_bound": "alignment",
    "correlation": "alignment",
    "evaluate": "accuracy",
    "linearized_robustness": "alignment",
    "masking_panel": "panel",
    "measure_alignment": "alignment",
    "measured_robustness": "distance",
    "wilson_interval": "intervals",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    # Lazy, so that `python -m igam_tf.evaluate --help` needs no TensorFlow.
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
