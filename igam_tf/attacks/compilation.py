"""Compiled functions of a model, made once and kept as long as the model lives.

They see the variables of the model as they are at each call; layers that are added or
replaced after the first call they do not see (as `model.predict` does not).
"""

import functools
import weakref

import tensorflow as tf

from igam_tf.attacks.classifier import logits_of

_FUNCTIONS = weakref.WeakKeyDictionary()


def compiled(model, key, function):
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


def compiled_for_any_batch(model, key, function):
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


def compiled_logits(model, images, training=False):
    """Logits of a batch by a compiled call, as a NumPy array (batch, classes)."""

    def run(model, images):
        return logits_of(model, images, training)

    return compiled(model, ("logits", training), run)(tf.constant(images)).numpy()


def _call(reference, function, *tensors):
    return function(reference(), *tensors)


def _any_batch(value):
    shape, dtype = tuple(value.shape), tf.as_dtype(value.dtype)
    return tf.TensorSpec((None, *shape[1:]) if shape else (), dtype)
