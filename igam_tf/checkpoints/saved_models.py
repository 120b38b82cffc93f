"""Brings a SavedModel folder behind a Keras layer, for evaluation."""

import pathlib
from collections.abc import Sequence

import keras
import tensorflow as tf

from igam_tf.checkpoints.errors import CheckpointError
from igam_tf.errors import reason

# What `Model.export` and `tf.saved_model.save` call the function of inference.
_ENDPOINTS = ("serve", "serving_default")


def is_saved_model(path: pathlib.Path) -> bool:
    """Whether a path is the folder of a SavedModel."""
    return (path / "saved_model.pb").is_file()


def read_saved_model(
    path: pathlib.Path, image_shape: Sequence[int | None]
) -> keras.Model:
    """A network whose only layer computes what a SavedModel does in inference.

    It can be evaluated, and attacked by its gradients; there is nothing inside that
    could be trained, copied or given new logits.

    Args:
        path: the folder.
        image_shape: (height, width, channels) of the images it will be given.

    Returns:
        keras.Model with the outputs of the SavedModel.

    Raises:
        CheckpointError: if it cannot be loaded, or takes other inputs, or if its
            program has no gradient.
    """
    try:
        layer = _layer(path)
        images = keras.Input(image_shape, name="images")
        model = keras.Model(images, layer(images), name=path.name)
    # TensorFlow and Keras pass on whatever the program in it raises.
    except Exception as error:
        raise CheckpointError(
            f"{path} is a SavedModel that cannot be used on images of shape "
            f"{tuple(image_shape)} ({type(error).__name__}: {reason(error, 300)}). "
            "Where it was made, save the Keras model by model.save('NAME.keras')."
        ) from error
    _check_gradient(model, path)
    return model


def _layer(path):
    for endpoint in _ENDPOINTS:
        try:
            return keras.layers.TFSMLayer(path, endpoint, trainable=False)
        except ValueError as error:
            missing = error
    raise missing


def _check_gradient(model, path):
    shape = [32 if size is None else size for size in model.input_shape[1:]]
    images = tf.random.stateless_uniform([1, *shape], seed=(0, 0))
    try:
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = keras.tree.flatten(model(images, training=False))
        gradient = tape.gradient(outputs, images)
    except (LookupError, tf.errors.OpError, ValueError) as error:
        raise _without_gradient(path, f" ({reason(error)})") from error
    if gradient is None:
        raise _without_gradient(path, "")


def _without_gradient(path, detail):
    return CheckpointError(
        f"{path}: the program of this SavedModel has no gradient{detail}, so that "
        "attacks by gradients would fail for no merit of the model. Where it was made, "
        "save the Keras model by model.save('NAME.keras')."
    )
