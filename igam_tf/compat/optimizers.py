"""What an optimizer of Keras does on its way to an update, one step of it alone."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from igam_tf.compat import attribute


def clipped_gradients(
    optimizer: keras.optimizers.Optimizer, gradients: Sequence[tf.Tensor]
) -> list[tf.Tensor]:
    """Gradients as an optimizer would clip them: by norm, global norm or value.

    `Optimizer._clip_gradients`: `Optimizer.apply` clips what each replica hands in.
    """
    purpose = "to clip gradients over all replicas"
    owner = "keras.Optimizer"
    return attribute(optimizer, "_clip_gradients", owner, purpose)(gradients)
