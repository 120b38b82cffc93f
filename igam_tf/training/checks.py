"""A look at the training data before any long work starts."""

import tensorflow as tf

from igam_tf.data import check_images, check_labels


def check_training_data(x, y, *, num_classes):
    """Checks arrays, or the first batch of a `tf.data.Dataset`.

    Args:
        x: images, or a data set of (images, labels) batches.
        y: labels, or None.
        num_classes: number of the student's logits.

    Raises:
        ValueError: if images are not finite numbers in [0, 1] or labels are not
            classes.
    """
    if isinstance(x, tf.data.Dataset):
        first = next(iter(x.take(1)), None)
        if first is None:
            raise ValueError("The training data set is empty; it needs a batch at least.")
        x, y = first[:2]
    if y is not None and hasattr(x, "shape"):
        check_images(x)
        check_labels(y, num_classes)
