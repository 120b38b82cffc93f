"""Data sets by name: images (float32 in [0, 1], NHWC) and labels (int32) as tf.data.

`igam_tf.data.registry` knows which data sets exist without importing TensorFlow; the
names below that need it import it when they are first used.
"""

from igam_tf import lazy

__all__, __getattr__, __dir__ = lazy.exports(
    __name__,
    {
        "Augmentation": "registry",
        "DATASETS": "registry",
        "DatasetInfo": "registry",
        "Split": "task",
        "Task": "task",
        "check_count": "batches",
        "check_images": "task",
        "check_labels": "task",
        "class_numbers": "labels",
        "evaluation_batches": "batches",
        "from_dataset": "foreign",
        "hold_out": "held_out",
        "load": "reading",
        "read": "reading",
        "register": "registry",
        "steps_per_epoch": "batches",
        "training_batches": "batches",
    },
)
