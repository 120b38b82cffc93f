"""The check of a student's second derivatives, once before its first step."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import keras
import tensorflow as tf

from igam_tf.derivatives import second_derivatives

if TYPE_CHECKING:
    from igam_tf.training.base import TrainingMethod

# Students that passed, and in which modes; an entry goes with its student.
_checked: weakref.WeakKeyDictionary[keras.Model, set[bool]] = (
    weakref.WeakKeyDictionary()
)


def check_student(method: TrainingMethod) -> None:
    """Refuses a student that the method's input-gradient terms cannot train.

    Nothing is done for methods without such terms, for a training that goes on, and for
    a student that was checked in the same mode.

    Args:
        method: compiled `TrainingMethod`.

    Raises:
        ValueError: see `second_derivatives.check`.
    """
    modes = method.input_gradient_modes()
    if not modes or not method.check_gradients:
        return
    # A variable of several replicas is no number itself.
    if int(tf.identity(method.optimizer.iterations.value)):
        return
    done = _checked.setdefault(method.student, set())
    for training in sorted(modes - done):
        second_derivatives.check(method.student, training=training)
        done.add(training)
