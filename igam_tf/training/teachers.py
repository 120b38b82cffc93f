"""Frozen teachers of methods that learn from one."""

import itertools
import math
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from igam_tf import compat, models, transforms
from igam_tf.training import checks


class Untracked:
    """Hides a model from Keras' attribute tracking: it is neither trained nor saved.

    Attributes:
        value: the model.
    """

    def __init__(self, value: keras.Model) -> None:
        self.value = value


def held(teacher: keras.Model, *, batch_norm: str = "inference") -> Untracked:
    """The teacher, hidden from the method that holds it, which never trains it.

    It stays as trainable as it was. Frozen batch norm layers ignore the batch, so for
    "batch" these layers are made trainable again, and their weights frozen instead.
    """
    if batch_norm == "batch":
        models.wake_batch_norm(teacher)
    return Untracked(transforms.randomize(teacher))


def input_shape(finetuned: keras.Model) -> tuple[int, int, int]:
    """(height, width, channels) of the input of the teacher inside a finetuned one."""
    return tuple(finetuned.get_layer("frozen_teacher").input_shape[1:])


def check_numbers(**values: Any) -> None:
    """Raises ValueError unless each value is a finite number, 0 or more."""
    for name, value in values.items():
        number = isinstance(value, (int, float, np.number))
        if not number or isinstance(value, bool) or not 0 <= value < math.inf:
            raise ValueError(f"{name}={value!r}: expected a finite number, 0 or more.")


def check_choice(name: str, value: object, choices: Collection) -> None:
    """Raises ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name}={value!r}: expected one of {choices}.")


def check_networks(
    student: keras.Model,
    teacher: keras.Model | None = None,
    discriminator: keras.Model | None = None,
    *,
    same_classes: bool = True,
) -> None:
    """Same images, same classes, weights of their own, and what a discriminator sees.

    Args:
        student, teacher, discriminator: the networks, or None where there is none.
        same_classes: whether the teacher's classes are to be those of the student.

    Raises:
        ValueError: if one of them gives no logits, a shape differs, or one has weights
            that are trained as another's.
    """
    expected = {}
    check_apart(student=student, teacher=teacher, discriminator=discriminator)
    if teacher is not None:
        checks.check_classifier(teacher, "teacher")
        expected["teacher input"] = (teacher.input_shape[1:], student.input_shape[1:])
        if same_classes:
            expected["teacher classes"] = (
                teacher.output_shape[1:],
                student.output_shape[1:],
            )
    if discriminator is not None:
        checks.check_classifier(discriminator, "discriminator")
        expected["discriminator input"] = (
            discriminator.input_shape[1:],
            student.input_shape[1:],
        )
        expected["discriminator classes"] = (discriminator.output_shape[1:], (2,))
    for what, (found, needed) in expected.items():
        if tuple(found) != tuple(needed):
            raise ValueError(
                f"{what}: found {tuple(found)}, but the student needs {tuple(needed)}. "
                "igam_tf.finetune(teacher, ...) fits a teacher to the target task; "
                "igam_tf.models.discriminator(gradient_shape=...) and networks such as "
                "igam_tf.models.wide_resnet(image_shape=...) take the shape of the "
                "target images."
            )


def check_apart(**networks: keras.Model | None) -> None:
    """Raises ValueError if one network would move while another is trained.

    What two networks have in common may be frozen in both.

    Args:
        **networks: student, teacher and discriminator, or None where there is none.
    """
    given = {role: n for role, n in networks.items() if isinstance(n, keras.Model)}
    for (role, first), (other, second) in itertools.combinations(given.items(), 2):
        trained = [n for r, n in ((role, first), (other, second)) if r != "teacher"]
        moved = {id(v) for n in trained for v in _moved(n)}
        ours = {id(v) for v in first.variables}
        shared = [v for v in second.variables if id(v) in ours]
        if first is second:
            what = "are one and the same model"
        elif found := [v.path for v in shared if id(v) in moved]:
            what = f"have {len(found)} trained weights in common, such as {found[0]!r}"
        else:
            continue
        raise ValueError(
            f"{role} {first.name!r} and {other} {second.name!r} {what}: training the "
            "one would change the other. Expected networks with weights of their own: "
            f"igam_tf.models.copy_network({other}) makes a copy."
        )


def _moved(network):
    """The variables that change while a network is trained."""
    yield from network.trainable_variables
    for layer in compat.flatten_layers(network):
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            # Its moving statistics, too.
            yield from layer.variables
