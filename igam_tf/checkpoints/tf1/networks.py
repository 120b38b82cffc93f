"""Finetuned teachers as single networks, as the TF1 code has them."""

import keras

from igam_tf.checkpoints.errors import CheckpointError, shortened
from igam_tf.checkpoints.tf1.names import TARGET_HEAD

# What `igam_tf.training.finetune` calls the teacher inside of its model.
FROZEN_TEACHER = "frozen_teacher"


def without_transform(model: keras.Model) -> keras.Model:
    """A finetuned teacher without its input transform; other models as they are.

    Args:
        model: network of `igam_tf.models`, or what `igam_tf.finetune` returns: input
            transform, frozen teacher, new logits.

    Returns:
        keras.Model from the teacher's own input to the new logits, which shares the
        layers, and so the weights, of `model`.

    Raises:
        CheckpointError: if the input transform has weights: the authors released no
            code with a trained transform, so these have no TF1 name.
    """
    layers = {layer.name: layer for layer in model.layers}
    if not {FROZEN_TEACHER, TARGET_HEAD} <= layers.keys():
        return model
    teacher, head = layers.pop(FROZEN_TEACHER), layers.pop(TARGET_HEAD)
    trained = [weight.path for layer in layers.values() for weight in layer.weights]
    if trained:
        raise CheckpointError(
            f"model {model.name!r} has an input transform with weights "
            f"({shortened(trained)}). The authors released no code with a trained "
            "transform, so these have no TF1 name. Save it with "
            "model.save('....keras')."
        )
    return keras.Model(teacher.inputs, head(teacher.outputs[0]), name=model.name)


def is_finetuned(network: keras.Model) -> bool:
    """Whether a network of `without_transform` comes from a finetuned teacher."""
    return network.layers[-1].name == TARGET_HEAD
