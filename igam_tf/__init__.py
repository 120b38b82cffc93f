"""Robustness transfer through input gradients, for Keras and TensorFlow 2.

`import igam_tf` is cheap: TensorFlow is imported when a name that needs it is first
used, so that `run.py --help` answers at once.
"""

import importlib

__version__ = "0.1.0"

_ROOMS = (
    "adapters",
    "attacks",
    "cards",
    "checkpoints",
    "data",
    "distribution",
    "evaluation",
    "experiment",
    "export",
    "gradients",
    "models",
    "pjrt",
    "reports",
    "training",
    "transforms",
)
_NAMES = {
    "AutoAttack": "igam_tf.attacks",
    "EdgeReg": "igam_tf.training",
    "GradNorm": "igam_tf.training",
    "IGAM": "igam_tf.training",
    "JARN": "igam_tf.training",
    "KDIGA": "igam_tf.training",
    "PAG": "igam_tf.training",
    "StandardTraining": "igam_tf.training",
    "AdversarialTraining": "igam_tf.training",
    "finetune": "igam_tf.training",
    "evaluate": "igam_tf.evaluation",
    "export_attack": "igam_tf.export",
    "export_step": "igam_tf.export",
    "import_state": "igam_tf.export",
    "input_gradient": "igam_tf.gradients",
    "load": "igam_tf.cards",
}

__all__ = sorted([*_ROOMS, *_NAMES, "__version__"])


def __getattr__(name):
    if name in _ROOMS:
        return importlib.import_module(f"igam_tf.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(_NAMES[name]), name)
    raise AttributeError(f"module 'igam_tf' has no attribute {name!r}")


def __dir__():
    return __all__
