"""Logits to judge by: a NaN is an error, not a wrong answer."""

import numpy as np

from igam_tf.attacks.engine.compilation import compiled_logits


def finite_logits(model, images, training, what):
    """Logits of a batch as an array (batch, classes).

    Args:
        model: Keras model from images to logits.
        images: float32 array (batch, height, width, channels).
        training: bool, the mode of the model.
        what: what the images are, for the error.

    Raises:
        ValueError: if there is a NaN among the logits.
    """
    logits = compiled_logits(model, images, training)
    if np.isnan(logits).any():
        raise ValueError(
            f"the model returns NaN for {what}: expected numbers, and no accuracy can "
            "be reported; look at how its weights were trained or loaded."
        )
    return logits
