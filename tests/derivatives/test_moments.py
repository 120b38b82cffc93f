"""Second derivatives through normalisation layers, against finite differences."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import gradients
from igam_tf.derivatives import moments

LAYERS = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
    "group": lambda: keras.layers.GroupNormalization(groups=2),
    # Without `tf.nn.moments`.
    "batch_synchronized": lambda: keras.layers.BatchNormalization(synchronized=True),
    "rms": keras.layers.RMSNormalization,
    "unit": keras.layers.UnitNormalization,
}


@pytest.fixture
def float64():
    precision, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(policy)


def squared_input_gradient(model, images, labels):
    gradient = gradients.input_gradient(model, images, labels, of="loss", training=True)
    return tf.reduce_sum(tf.square(gradient))


@pytest.mark.parametrize("norm", LAYERS)
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_gradient_of_an_input_gradient(float64, norm, mode):
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(4, 3),
            LAYERS[norm](),
            keras.layers.Activation("tanh"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    rng = np.random.default_rng(0)
    images, labels = tf.constant(rng.random((6, 4, 4, 2))), tf.constant([0, 1, 2] * 2)
    kernel = model.layers[0].kernel

    def loss_and_gradient():
        with tf.GradientTape() as tape:
            loss = squared_input_gradient(model, images, labels)
        return loss, tape.gradient(loss, kernel.value)

    compiled = loss_and_gradient
    if mode != "eager":
        compiled = tf.function(loss_and_gradient, jit_compile=mode == "xla")
    _, gradient = compiled()
    start, direction = kernel.numpy(), rng.standard_normal(kernel.shape)
    losses = []
    for step in (1e-5, -1e-5):
        kernel.assign(start + step * direction)
        losses.append(float(squared_input_gradient(model, images, labels)))
    expected = (losses[0] - losses[1]) / 2e-5
    np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-6)


def hessian_of_the_variance(function, x):
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            _, variance = function(x, [0])
        gradient = inner.gradient(variance, x)
    return outer.jacobian(gradient, x).numpy()


def test_hessian_of_the_variance():
    x = tf.constant([1.0, 2.0, 4.0, 8.0])
    # By hand: the variance is x' (I - 11'/N) x / N.
    expected = 2 / 4 * (np.eye(4) - 1 / 4)
    np.testing.assert_allclose(
        hessian_of_the_variance(moments.moments, x), expected, atol=1e-6
    )


@pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) >= (2, 22),
    reason="TensorFlow 2.22 computes the variance of x - mean, and has it right",
)
def test_why_tensorflows_moments_are_replaced():
    """`derivatives.moments` can go once no TensorFlow before 2.22 is supported."""
    x = tf.constant([1.0, 2.0, 4.0, 8.0])
    wrong = hessian_of_the_variance(tf.nn.moments, x)
    np.testing.assert_allclose(wrong, 2 / 4 * np.eye(4), atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_are_tensorflows(dtype, keepdims):
    x = tf.cast(np.random.default_rng(0).random((3, 4, 5)), dtype)
    ours = moments.moments(x, [0, 1], keepdims=keepdims)
    theirs = tf.nn.moments(x, [0, 1], keepdims=keepdims)
    for a, b in zip(ours, theirs):
        assert a.dtype == b.dtype and a.shape == b.shape
        a, b = (np.asarray(tf.cast(v, tf.float32)) for v in (a, b))
        # TensorFlow takes bfloat16 statistics in bfloat16.
        np.testing.assert_allclose(a, b, rtol=2e-2 if dtype == "bfloat16" else 1e-6)


def test_the_original_comes_back_when_the_last_thread_has_left():
    original = tf.nn.moments
    inside, leave = threading.Event(), threading.Event()

    def replica():
        with moments.twice_differentiable():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=replica)
    thread.start()
    assert inside.wait(60)
    with moments.twice_differentiable():
        assert tf.nn.moments is moments.moments
    assert tf.nn.moments is moments.moments
    leave.set()
    thread.join()
    assert tf.nn.moments is original
