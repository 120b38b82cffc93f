"""Compiled functions of a model, made once and kept as long as the model lives.

They see the variables of the model as they are at each call; layers that are added or
replaced after the first call they do not see (as `model.predict` does not).
"""

from __future__ import annotations

import functools
import typing
import weakref
from collections.abc import Callable, Hashable

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks.classifier import is_wrong, logits_of
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.losses import cross_entropy

if typing.TYPE_CHECKING:
    from igam_tf.attacks.stepwise import StepwiseAttack

_FUNCTIONS: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()


def compiled(model: keras.Model, key: Hashable, function: Callable) -> Callable:
    """The compiled form of `function(model, ...)`, made once per model and key.

    Args:
        model: Keras model.
        key: hashable; equal keys must mean equal functions.
        function: takes the model and then tensors; must not refer to the model
            otherwise, or the model would never be freed.

    Returns:
        A tf.function of the tensors. It is traced once for every shape of them.
    """
    functions = _FUNCTIONS.setdefault(model, {})
    if key not in functions:
        # A partial, and not a closure: TensorFlow counts retracing by code object, and
        # would warn of the second model as of a retracing of the first.
        call = functools.partial(_call, weakref.ref(model), function)
        functions[key] = tf.function(call, autograph=False)
    return functions[key]


def compiled_for_any_batch(
    model: keras.Model, key: Hashable, function: Callable
) -> Callable:
    """As `compiled`, traced once for batches of every size.

    Args:
        model: Keras model.
        key: hashable, as of `compiled`.
        function: takes the model and then nested tensors; the first axis of each that
            has one is taken to be of any length.

    Returns:
        A function of the tensors (or arrays).
    """
    functions = _FUNCTIONS.setdefault(model, {})

    def call(*arguments):
        specs = tf.nest.map_structure(_any_batch, arguments)
        full_key = (key, *map(repr, tf.nest.flatten(specs)))
        if full_key not in functions:
            functions[full_key] = tf.function(
                functools.partial(_call, weakref.ref(model), function),
                autograph=False,
            ).get_concrete_function(*specs)
        flat = tf.nest.map_structure(tf.convert_to_tensor, arguments)
        return functions[full_key](*flat)

    return call


def compiled_logits(
    model: keras.Model, images: np.ndarray | tf.Tensor, training: bool = False
) -> np.ndarray:
    """Logits of a batch by a compiled call, as an array (batch, classes)."""

    def run(model, images):
        return logits_of(model, images, training)

    return compiled(model, ("logits", training), run)(tf.constant(images)).numpy()


class CompiledModel:
    """What stepwise attacks ask of one model, in one mode; each call is traced once.

    Args:
        model: Keras model from images to logits (batch, classes).
        training: bool, the mode of the model.
    """

    def __init__(self, model: keras.Model, training: bool) -> None:
        self.model, self.training = model, training

    def clean(
        self, images: np.ndarray, labels: np.ndarray, depth: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Classes ranked by their logits (batch, depth), and what `judge` returns."""
        training = self.training

        def look(model, images, labels):
            logits = logits_of(model, images, training)
            return tf.math.top_k(logits, depth).indices, *_judged(logits, labels)

        return self._arrays(("clean", training, depth), look, images, labels)

    def judge(
        self,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        looks: int = 1,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether images are misclassified at every look, and their cross entropy.

        Args:
            images: float32 array or tensor (batch, ...).
            labels: int32 array or tensor (batch,).
            looks: how often they are looked at: a model with random outputs
                misclassifies an image now and then by chance.

        Returns:
            Arrays (batch,) of bool and float32, the second of the last look.
        """
        training = self.training

        def judge(model, images, labels):
            return _judged(logits_of(model, images, training), labels)

        wrong = np.ones(len(labels), bool)
        for _ in range(looks):
            wrong_now, loss = self._arrays(("judge", training), judge, images, labels)
            wrong &= wrong_now
        return wrong, loss

    def begin(
        self,
        attack: StepwiseAttack,
        start: dict[str, np.ndarray],
        numbers: Numbers,
    ) -> Tensors:
        """The state of a stepwise attack before its first step."""
        training = self.training

        def begin(model, start, numbers):
            return attack.begin(model, start, numbers, training)

        return self._compiled(attack, "begin", begin)(start, numbers)

    def advance(
        self,
        attack: StepwiseAttack,
        state: Tensors,
        start: int,
        stop: int,
        numbers: Numbers,
    ) -> tuple[Tensors, np.ndarray]:
        """The state after the steps `start` to `stop`, and which images met NaN."""
        training = self.training

        def advance(model, state, start, stop, numbers):
            state = _steps(attack, model, state, start, stop, numbers, training)
            is_nan = [
                tf.reduce_any(tf.math.is_nan(tensor), axis=range(1, tensor.shape.rank))
                for name, tensor in state.items()
                if name in ("adversarial", "gradient")
            ]
            return state, tf.reduce_any(tf.stack(is_nan), axis=0)

        function = self._compiled(attack, "advance", advance)
        state, is_nan = function(state, np.int32(start), np.int32(stop), numbers)
        return state, is_nan.numpy()

    def _compiled(self, attack, what, function):
        key = (type(attack), what, attack.structure, self.training)
        return compiled_for_any_batch(self.model, key, function)

    def _arrays(self, key, function, *arguments):
        tensors = compiled_for_any_batch(self.model, key, function)(*arguments)
        return tuple(tensor.numpy() for tensor in tensors)


def _steps(attack, model, state, start, stop, numbers, training):
    draws = attack.draws(state, start, stop)

    def one_step(step, state):
        state = attack.advance(model, state, step, draws, numbers, training)
        return step + 1, state

    _, state = tf.while_loop(
        lambda step, _: step < stop,
        one_step,
        (start, state),
        parallel_iterations=1,
    )
    return state


def _judged(logits, labels):
    return is_wrong(logits, labels), cross_entropy(logits, labels)


def _call(reference, function, *tensors):
    return function(reference(), *tensors)


def _any_batch(value):
    shape, dtype = tuple(value.shape), tf.as_dtype(value.dtype)
    return tf.TensorSpec((None, *shape[1:]) if shape else (), dtype)
