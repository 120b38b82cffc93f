"""From one frozen `Experiment` to a run folder with students, results and a table."""

import importlib

_NAMES = {
    "Experiment": "igam_tf.experiment.config",
    "run": "igam_tf.experiment.stages",
    "run_table": "igam_tf.experiment.table_run",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    # Lazy, so that `run.py --help` needs the settings only, and no TensorFlow.
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'igam_tf.experiment' has no attribute {name!r}")
