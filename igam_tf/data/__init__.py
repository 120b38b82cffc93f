"""Data: a name -> images (float32 in [0, 1], NHWC) and labels (int32) as tf.data.

`igam_tf.data.registry` knows which data sets exist without importing TensorFlow; the
names below that need it import it when they are first used.
"""

import importlib

_NAMES = {
    "Augmentation": "registry",
    "DATASETS": "registry",
    "DatasetInfo": "registry",
    "Split": "task",
    "Task": "task",
    "check_count": "batches",
    "check_images": "task",
    "check_labels": "task",
    "evaluation_batches": "batches",
    "load": "reading",
    "read": "reading",
    "register": "registry",
    "steps_per_epoch": "batches",
    "training_batches": "batches",
}

__all__ = sorted(_NAMES)


def __getattr__(name):
    if name in _NAMES:
        return getattr(importlib.import_module(f"{__name__}.{_NAMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return __all__
