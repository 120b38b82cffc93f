"""Frozen teachers of methods that learn from one."""

import math
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

from igam_tf import models, transforms
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
    """Same images, same classes, and a discriminator of what it is to see.

    Args:
        student, teacher, discriminator: the networks, or None where there is none.
        same_classes: whether the teacher's classes are to be those of the student.

    Raises:
        ValueError: if one of them gives no logits, or a shape differs.
    """
    expected = {}
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
                "igam_tf.models.discriminator(gradient_shape=...) takes the shape of "
                "the target images."
            )
