"""Refuses what a method cannot be made, compiled or fitted with, before any work."""

import importlib.util
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from igam_tf import compat, models
from igam_tf.attacks.classifier import check_not_probabilities

# Images of random numbers that show whether a network gives probabilities.
_NUM_TRIED = 4


def check_classifier(network: object, role: str = "student") -> None:
    """Raises ValueError unless a network is from images to logits, one for each class.

    Args:
        network: what was given as student, teacher or discriminator.
        role: what it was given as.
    """
    name = f"{role} {getattr(network, 'name', network)!r}"
    inputs = getattr(network, "inputs", None) or []
    outputs = getattr(network, "outputs", None) or []
    if not isinstance(network, keras.Model) or not outputs:
        raise ValueError(
            f"{name} is a {type(network).__name__} without symbolic inputs: expected a "
            "functional or Sequential keras.Model; wrap another one: images = "
            "keras.Input((32, 32, 3)); keras.Model(images, network(images))."
        )
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(
            f"{name} has {len(inputs)} inputs and {len(outputs)} outputs: expected "
            "images as the only input and logits as the only output."
        )
    if isinstance(getattr(network, "output", None), dict):
        raise ValueError(
            f"{name} returns a dict of {list(network.output)}: expected logits; "
            "igam_tf.models.one_output(network) is the same network without it."
        )
    shape, classes = tuple(inputs[0].shape), tuple(outputs[0].shape)
    if len(shape) != 4:
        raise ValueError(
            f"{name} takes inputs of shape {shape}: expected images (batch, height, "
            "width, channels)."
        )
    if len(classes) != 2 or classes[1] is None or classes[1] < 2:
        raise ValueError(
            f"{name} returns {classes}: expected logits (batch, classes) of at least 2 "
            "classes; igam_tf.models.two_logits(network) makes two of one logit or one "
            "sigmoid."
        )
    if role == "student" and outputs[0].dtype in ("float16", "bfloat16"):
        raise ValueError(
            f"{name} returns logits in {outputs[0].dtype}: expected "
            f"{keras.config.floatx()}, in which losses are computed; give its last "
            f"layer dtype={keras.config.floatx()!r}, the others may stay as they are."
        )
    _check_activation(network, name)


def _check_activation(network, name):
    found = models.output_activation(network)
    if found == "softmax":
        raise ValueError(
            f"{name} ends in a softmax: expected logits, from which every loss here is "
            "computed; igam_tf.models.without_softmax(network) takes it off."
        )
    if found in ("sigmoid", "hard_sigmoid"):
        raise ValueError(
            f"{name} ends in a {found} of each class: expected logits, from which "
            "every loss here is computed; end it in a Dense layer without activation."
        )


def check_no_probabilities(student: keras.Model) -> None:
    """Raises ValueError if a student computes probabilities, by whatever layer.

    Args:
        student: keras.Model. Nothing is tried if its images have no fixed size.
    """
    shape = student.input_shape[1:]
    if None in shape:
        return
    images = np.random.default_rng(0).random([_NUM_TRIED, *shape], np.float32)
    logits = keras.ops.convert_to_numpy(student(images, training=False))
    try:
        check_not_probabilities(student, logits)
    except ValueError as error:
        raise ValueError(f"student: {error}") from None


def check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises ValueError if an optimizer gathers gradients over several steps.

    Args:
        optimizer: keras optimizer.
    """
    steps = compat.without_loss_scale(optimizer).gradient_accumulation_steps
    if steps:
        raise ValueError(
            f"gradient_accumulation_steps={steps} of the optimizer: expected None; "
            "make the batch as much larger, and pass micro_batch=... to the method: "
            "the same update, with the activations of one part in memory."
        )


def checked_metrics(metrics: Any) -> list:
    """The metrics of `compile` as a list.

    Args:
        metrics: one metric or name, a list of them, or None.

    Raises:
        ValueError: if they are a dict.
    """
    if isinstance(metrics, dict):
        raise ValueError(
            f"metrics={metrics}: expected a list such as ['accuracy']; a method has "
            "one output, the student's logits."
        )
    if isinstance(metrics, str) or callable(metrics):
        return [metrics]
    return list(metrics or ())


def check_weights(**weights: Any) -> None:
    """Raises ValueError if one of `class_weight` and `sample_weight` is given."""
    given = [name for name, value in weights.items() if value is not None]
    if given:
        raise ValueError(
            f"{given[0]} is given, which no method here uses: leave it out; to see a "
            "class more often, repeat its images in the data."
        )


def check_callbacks(callbacks: Iterable[keras.callbacks.Callback]) -> None:
    """Raises ValueError if a callback cannot work here.

    Args:
        callbacks: list of keras callbacks.
    """
    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard) and not _has_tensorboard():
            raise ValueError(
                "keras.callbacks.TensorBoard is given, and tensorboard is not "
                "installed: pip install tensorboard, or write "
                "keras.callbacks.CSVLogger('log.csv')."
            )


def _has_tensorboard():
    return importlib.util.find_spec("tensorboard") is not None
