"""Functions in place of TensorFlow's: Keras calls them, or it is told."""

import sys
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import compat, distribution, gradients, training
from igam_tf.derivatives import moments
from igam_tf.derivatives.replacement import Replacement

NORMALISATIONS = {
    "BatchNormalization": keras.layers.BatchNormalization,
    "LayerNormalization": keras.layers.LayerNormalization,
    "GroupNormalization": lambda: keras.layers.GroupNormalization(groups=2),
}


def network(*layers):
    end = [keras.layers.Flatten(), keras.layers.Dense(2)]
    return keras.Sequential([keras.Input((4, 4, 2)), *layers, *end])


@pytest.fixture
def keras_that_binds_moments(monkeypatch):
    """A Keras whose batch and group norm took `tf.nn.moments` when it was imported."""
    original = tf.nn.moments

    def bound(x, axes, keepdims=False, synchronized=False):
        return original(x, axes, keepdims=keepdims)

    layers = sys.modules[keras.layers.BatchNormalization.__module__]
    monkeypatch.setattr(layers.ops, "moments", bound)


def test_each_normalisation_layer_calls_the_replacement():
    moments.check()


def test_check_names_the_layers_that_do_not(keras_that_binds_moments):
    with pytest.raises(ValueError) as caught:
        moments.check()
    message = str(caught.value)
    named = "BatchNormalization, GroupNormalization without calling tf.nn.moments"
    assert named in message
    assert f"Keras {keras.__version__} with TensorFlow {tf.__version__}" in message
    assert compat.TESTED in message


@pytest.mark.parametrize("name", ["StandardTraining", "GradNorm", "EdgeReg"])
def test_compile_refuses_such_a_keras(keras_that_binds_moments, name):
    method = getattr(training, name)(network(keras.layers.BatchNormalization()))
    with pytest.raises(ValueError, match="without calling tf.nn.moments"):
        method.compile("sgd")


IMAGES, LABELS = tf.ones((3, 4, 4, 2)), tf.constant([0, 1, 0])


@pytest.mark.parametrize("name", ["BatchNormalization", "GroupNormalization"])
def test_an_input_gradient_refuses_such_a_keras(keras_that_binds_moments, name):
    model = network(NORMALISATIONS[name]())
    with pytest.raises(ValueError, match="without calling tf.nn.moments"):
        gradients.input_gradient(model, IMAGES, LABELS, training=True)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Activation("tanh"),
        keras.layers.LayerNormalization(),
        keras.layers.BatchNormalization(trainable=False),
    ],
    ids=lambda layer: layer.name,
)
def test_it_serves_where_moments_do_not_matter(keras_that_binds_moments, layer):
    model = network(layer)
    gradients.input_gradient(model, IMAGES, LABELS, training=True)
    model = network(keras.layers.BatchNormalization())
    gradients.input_gradient(model, IMAGES, LABELS, training=False)


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_an_input_gradient_calls_the_replacement(name):
    model = network(NORMALISATIONS[name]())
    with moments.moments.replacement.in_force() as calls:
        gradients.input_gradient(model, IMAGES, LABELS, training=True)
    assert calls.count == 1


def test_check_leaves_no_trace():
    """It takes neither names nor random numbers away from the caller."""

    def made():
        name = keras.layers.BatchNormalization().name
        return name, np.random.random(), float(keras.random.normal([]))

    found = []
    for check in (lambda: None, moments.check):
        keras.backend.clear_session()
        set_seed(0)
        check()
        found.append(made())
    assert found[0] == found[1]
    assert found[0][0] == "batch_normalization"


@pytest.mark.parametrize("where", ["scope", "replicas", "graph", "half"])
def test_check_in_any_context(where):
    strategy = distribution.strategy("mirrored", devices=2)

    def checked():
        moments.check()
        return tf.constant(1.0)

    if where == "scope":
        with strategy.scope():
            moments.check()
    elif where == "replicas":
        tf.function(lambda: strategy.run(checked))()
    elif where == "graph":
        tf.function(checked, jit_compile=True)()
    else:
        with distribution.precision("mixed_bfloat16"):
            moments.check()


def doubled():
    module = type("module", (), {"double": staticmethod(lambda x: 2 * x)})

    @Replacement.of(module, "double", "module.double")
    def double(x):
        return x + x

    return module, double


def test_calls_are_counted_for_each_thread():
    module, double = doubled()
    with double.replacement.in_force() as outer:
        module.double(1)
        with double.replacement.in_force() as inner:
            assert module.double(2) == 4
        thread = threading.Thread(target=module.double, args=(3,))
        thread.start()
        thread.join()
    assert (outer.count, inner.count) == (2, 1)
    assert module.double is double.replacement.original is not double


def test_check_of_any_replacement():
    module, double = doubled()
    bound = module.double
    double.replacement.check({"good": lambda: module.double(1)}, "nothing")
    layers = {"good": lambda: module.double(1), "bad": lambda: bound(1)}
    with pytest.raises(ValueError, match="computes bad without .*: it would be off. T"):
        double.replacement.check(layers, "it would be off")


def test_check_passes_on_what_a_layer_raises():
    module, double = doubled()
    with pytest.raises(ZeroDivisionError):
        double.replacement.check({"broken": lambda: 1 / 0}, "nothing")
    assert module.double is double.replacement.original


def test_a_replaced_name_that_is_gone():
    with pytest.raises(ValueError, match="tf.nn.no_such is gone from Keras 3"):
        Replacement.of(tf.nn, "no_such", "tf.nn.no_such")(lambda x: x)
