"""Refuses what a method cannot be made, compiled or fitted with, before any work."""

import importlib.util
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf import compat, models
from igam_tf.attacks.classifier import check_not_probabilities
from igam_tf.models.inputs import check_takes_floats

# Images of random numbers that show whether a network gives probabilities.
_NUM_TRIED = 4
# Names for which Keras chooses a metric by the shapes, so that it fits class numbers.
_CHOSEN_BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


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
    check_takes_floats(network, role)
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


def check_metric(metric: Any, classes: int) -> None:
    """Raises ValueError if a metric does not take class numbers beside logits.

    What takes one-hot rows may take numbers without a word, and mistakes them: then its
    value depends on the order of the images.

    Args:
        metric: Keras metric, its name, or a function of (labels, logits).
        classes: number of logits.
    """
    if str(metric).lower() in _CHOSEN_BY_SHAPE:
        return
    reason = "gives another value for the same images in another order"
    try:
        values = _in_both_orders(metric, classes)
        pairs = zip(*map(keras.tree.flatten, values), strict=True)
        if all(np.allclose(a, b, 1e-4, 1e-5, equal_nan=True) for a, b in pairs):
            return
    except (ValueError, TypeError, tf.errors.OpError) as error:
        reason = f"cannot be computed ({str(error).splitlines()[0]})"
    name = metric if isinstance(metric, str) else getattr(metric, "name", metric)
    raise ValueError(
        f"metric {name!r} of class numbers (images,) and logits (images, classes) "
        f"{reason}: it may take one-hot rows. Expected one that takes class numbers, "
        "which every metric gets here, such as 'accuracy' or "
        "'sparse_top_k_categorical_accuracy'."
    )


def _in_both_orders(metric, classes):
    """A metric's values of some images, and of the same ones from the last on."""
    found = keras.metrics.get(metric)
    if not isinstance(found, keras.metrics.Metric):
        found = keras.metrics.MeanMetricWrapper(found)
    # Another number of images than of classes, which would pass for one-hot rows.
    labels = np.zeros(classes + 2, np.int32)
    labels[0] = 1
    row = np.linspace(1.0, -1.0, classes, dtype=np.float32)
    logits = np.tile(row, (classes + 2, 1))
    logits[classes // 2 + 1 :, 0] = -2.0
    values = []
    for order in (1, -1):
        found.reset_state()
        found.update_state(labels[::order], logits[::order])
        values.append(keras.tree.map_structure(np.asarray, found.result()))
    found.reset_state()
    return values


def check_trainable(student: keras.Model) -> None:
    """Raises ValueError if a student has no weight that a training would change."""
    if not student.trainable_variables:
        raise ValueError(
            f"student {student.name!r} has no trainable weights: a training would "
            "leave it as it is. Set student.trainable = True (a network that was "
            "frozen stays so in its file, too), or that of the layers to train, and "
            "make the method again."
        )


def check_still_trainable(
    compiled_for: frozenset[int], variables: Iterable[keras.Variable]
) -> None:
    """Raises ValueError if other weights are trainable than when it was compiled.

    Optimizers keep a state, and averaged weights (`use_ema`), for each weight that they
    were built for, in that order: averages would end in other layers, and a layer that
    is frozen after the first `fit` would still be trained.

    Args:
        compiled_for: `id` of each variable that was trainable in `compile`.
        variables: those that are trainable now.
    """
    now = {id(v): v.path for v in variables}
    added = [path for key, path in now.items() if key not in compiled_for]
    num_frozen = len(compiled_for - now.keys())
    if not added and not num_frozen:
        return
    changes = [f"{num_frozen} weights were frozen"] if num_frozen else []
    if added:
        changes.append(f"{len(added)} made trainable, such as {added[0]!r},")
    raise ValueError(
        f"{' and '.join(changes)} after compile: expected what the optimizers were "
        "built for; call compile again, with new optimizers, after trainable is set."
    )


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
