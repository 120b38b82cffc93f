"""Reports: tables and figures, made from results and models.

    python -m igam_tf.reports RUN_FOLDER
"""

import importlib

_NAMES = {
    "format_table": "table",
    "loss_surface": "landscape",
    "plot_alignment": "alignment",
    "plot_bars": "bars",
    "plot_input_gradients": "input_gradients",
    "plot_loss_surface": "surfaces",
    "write_figures": "figures",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    # Lazy, so that `python -m igam_tf.reports --help` needs no TensorFlow.
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
