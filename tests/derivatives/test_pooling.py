"""Max pooling: TensorFlow's values, and its second derivative in a graph."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf.derivatives import layers, pooling
from igam_tf.training.class_gradients import class_gradients

POOLINGS = {
    "keras": lambda k: keras.layers.MaxPooling2D(k, strides=1, padding="same"),
    "channels first": lambda k: keras.layers.MaxPooling2D(
        k, strides=1, padding="same", data_format="channels_first"
    ),
    "operation": lambda k: (
        lambda x: keras.ops.max_pool(x, (k, 3), strides=1, padding="same")
    ),
    "tf.nn.max_pool2d": lambda k: lambda x: tf.nn.max_pool2d(x, k, 1, "SAME"),
    "one dimension": lambda k: (
        lambda x: keras.layers.MaxPooling1D(k, strides=1, padding="same")(x[:, 0])
    ),
}


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("kind", POOLINGS)
def test_second_derivative_in_a_graph(kind, jit_compile):
    """The gradient of c times the maxima is linear in c: by hand, its transpose."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((2, 6, 5, 3)), tf.float32)
    pool = POOLINGS[kind](2)
    with layers.twice_differentiable():
        c = tf.constant(rng.standard_normal(pool(x).shape), tf.float32)

    def both():
        with tf.GradientTape() as outer:
            outer.watch(c)
            with tf.GradientTape() as inner, layers.twice_differentiable():
                inner.watch(x)
                y = pool(x)
            gradient = inner.gradient(y, x, c)
            value = tf.reduce_sum(tf.square(gradient)) / 2
        return gradient, outer.gradient(value, c)

    def again(direction):
        with tf.GradientTape() as tape, layers.twice_differentiable():
            tape.watch(x)
            y = pool(x)
        return tape.gradient(y, x, direction)

    gradient, second = tf.function(both, jit_compile=jit_compile)()
    direction = tf.constant(rng.standard_normal(c.shape), tf.float32)
    expected = tf.reduce_sum(again(direction) * gradient)
    np.testing.assert_allclose(
        tf.reduce_sum(second * direction), expected, rtol=1e-4, atol=1e-4
    )


def test_gradients_of_several_classes_at_once():
    """Vectorised; eagerly TensorFlow's own second derivative is right."""
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, padding="same", activation="tanh"),
            keras.layers.MaxPooling2D(2, strides=1, padding="same"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    images = tf.constant(np.random.default_rng(0).random((2, 4, 4, 1)), tf.float32)
    kernel = network.layers[0].kernel.value

    def derivative():
        with tf.GradientTape() as tape:
            found, _ = class_gradients(network, images, tf.constant([[0, 2], [1, 2]]))
            value = tf.reduce_sum(tf.square(found))
        return tape.gradient(value, kernel)

    found = tf.function(derivative)()
    np.testing.assert_allclose(found, derivative(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("k", [1, 2, 3, [1, 3, 2, 1]])
@pytest.mark.parametrize("strides", [1, [1, 1], 2])
def test_values_and_gradients_are_tensorflows(k, strides):
    x = tf.constant(np.random.default_rng(0).standard_normal((2, 5, 4, 3)) - 9)

    def call(padding):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.max_pool(x, k, strides, padding)
        return y, tape.gradient(y, x)

    for padding in ("SAME", "VALID"):
        expected = call(padding)
        with pooling.twice_differentiable():
            found = call(padding)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_original_comes_back():
    names = ("max_pool", "max_pool2d")
    before = [getattr(tf.nn, name) for name in names]
    with pooling.twice_differentiable():
        assert all(getattr(tf.nn, n) is not f for n, f in zip(names, before))
    assert [getattr(tf.nn, name) for name in names] == before
