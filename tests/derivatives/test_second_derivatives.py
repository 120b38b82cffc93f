"""The check of second derivatives: what it refuses, lets pass, and leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import models, training
from igam_tf.derivatives import second_derivatives

layers = keras.layers


@tf.custom_gradient
def _tanh_of_one_derivative(x):
    y = tf.tanh(x)
    return y, lambda above: above * tf.stop_gradient(1 - y * y)


@tf.custom_gradient
def _identity_by_numpy(x):
    def gradient(above):
        return tf.ensure_shape(tf.numpy_function(np.copy, [above], tf.float32), x.shape)

    return tf.identity(x), gradient


def _resize(x):
    return tf.raw_ops.ResizeBilinear(images=x, size=[9, 9], half_pixel_centers=True)


BAD = {
    "local response normalisation": lambda x: tf.nn.local_response_normalization(x),
    "raw resize": _resize,
    "nearest": lambda x: tf.raw_ops.ResizeNearestNeighbor(images=x, size=[9, 9]),
    "custom gradient": _tanh_of_one_derivative,
    "numpy": _identity_by_numpy,
    "whole numbers": lambda x: tf.cast(tf.cast(99 * x, tf.int32), tf.float32),
    "argmax": lambda x: tf.one_hot(tf.argmax(x, axis=-1), 4),
    "stop_gradient": tf.stop_gradient,
    "stopped factor": lambda x: x * tf.stop_gradient(tf.sigmoid(3 * x)),
}
GOOD = {
    "relu and max pooling": lambda: [layers.ReLU(), layers.MaxPooling2D(2)],
    "batch norm": lambda: [layers.BatchNormalization(), layers.LeakyReLU()],
    "layer norm": lambda: [layers.LayerNormalization(), layers.Activation("gelu")],
    "dropout": lambda: [layers.Dropout(0.5), layers.GaussianNoise(0.1)],
    "random numbers": lambda: [layers.Lambda(lambda x: tf.nn.dropout(x, 0.5))],
    "resizes": lambda: [layers.Resizing(9, 9), layers.UpSampling2D(2)],
    "rounding": lambda: [
        layers.Lambda(lambda x: x + tf.stop_gradient(tf.round(x) - x))
    ],
    "clipped gradient": lambda: [layers.Lambda(_with_clipped_gradient)],
}


@tf.custom_gradient
def _with_clipped_gradient(x):
    return tf.identity(x), lambda above: tf.clip_by_value(above, -1.0, 1.0)


def _student(*middle, activation="relu"):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation=activation),
            *middle,
            layers.Flatten(),
            layers.Dense(3),
        ]
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", BAD)
def test_refused_by_name(name, training):
    student = _student(layers.Lambda(BAD[name], name="odd_one"))
    with pytest.raises(ValueError, match="'odd_one'.*Resiz.*check_gradients"):
        second_derivatives.check(student, training=training)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", GOOD)
def test_no_false_alarm(name, training):
    for activation in ("relu", "gelu"):
        student = _student(*GOOD[name](), activation=activation)
        second_derivatives.check(student, training=training)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_looked_at_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        good = _student(layers.BatchNormalization())
        bad = _student(layers.Lambda(_tanh_of_one_derivative, name="odd_one"))
    finally:
        keras.config.set_dtype_policy("float32")
    second_derivatives.check(good, training=True)
    assert {layer.compute_dtype for layer in good.layers} == {policy[len("mixed_") :]}
    with pytest.raises(ValueError, match="odd_one"):
        second_derivatives.check(bad, training=True)


def test_what_the_cpu_lacks_is_looked_at_on_the_gpu(monkeypatch):
    """Such as a convolution of channels first; here the CPU stands for both."""

    class LackedByTheCPU(layers.Layer):
        def call(self, x):
            if tf.executing_eagerly() and not gpu:
                raise tf.errors.UnimplementedError(None, None, "only NHWC on the CPU")
            return function(x)

    def first_gpu():
        gpu.append("CPU:0")
        return gpu[0]

    function, gpu = tf.tanh, []
    student = _student(LackedByTheCPU(name="odd_one"))
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    # Without a GPU the error is TensorFlow's.
    with pytest.raises(tf.errors.UnimplementedError, match="only NHWC"):
        second_derivatives.check(student, training=True)
    monkeypatch.setattr(second_derivatives, "_gpu", first_gpu)
    second_derivatives.check(student, training=True)
    assert gpu
    function, gpu = _tanh_of_one_derivative, []
    with pytest.raises(ValueError, match="odd_one"):
        second_derivatives.check(student, training=True)
    after = tf.config.experimental.tensor_float_32_execution_enabled()
    assert gpu and after == before


class _Subclassed(keras.Model):
    def __init__(self, function):
        super().__init__()
        self.function = function
        # With ReLU inside, no finite difference of the whole would tell.
        self.inner = _student(activation="gelu")

    def call(self, images, training=False):
        return self.inner(self.function(images), training=training)


def test_layers_within_layers_and_own_models():
    inner = _student(layers.Lambda(_tanh_of_one_derivative, name="odd_one"))
    outer = keras.Sequential([keras.Input((8, 8, 1)), inner, layers.Dense(3)])
    with pytest.raises(ValueError, match="odd_one"):
        second_derivatives.check(outer, training=True)
    inputs = keras.Input((8, 8, 1))
    good = keras.Model(inputs, _Subclassed(tf.tanh)(inputs))
    second_derivatives.check(good, training=True)
    bad = keras.Model(inputs, _Subclassed(_tanh_of_one_derivative)(inputs))
    with pytest.raises(ValueError, match="_Subclassed"):
        second_derivatives.check(bad, training=True)


def test_nothing_changes():
    student = _student(layers.BatchNormalization(), layers.Dropout(0.5))
    before = [v.numpy() for v in student.variables]
    keras.utils.set_random_seed(1)
    expected = tf.random.uniform([3])
    keras.utils.set_random_seed(1)
    call = keras.Operation.__call__
    second_derivatives.check(student, training=True)
    assert keras.Operation.__call__ is call
    np.testing.assert_array_equal(tf.random.uniform([3]), expected)
    for a, b in zip(before, student.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


def _fit(method):
    method.compile(keras.optimizers.SGD(0.0))
    images = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
    method.fit(images, np.array([0, 1, 2, 0]), verbose=0)


def _odd_student():
    return _student(layers.Lambda(_tanh_of_one_derivative, name="odd_one"))


METHODS = {
    "igam": lambda s: training.IGAM(s, _student(), _discriminator()),
    "jarn": lambda s: training.JARN(s, _discriminator()),
    "kdiga": lambda s: training.KDIGA(s, _student()),
    "edges": training.EdgeReg,
    "gradient_norm": training.GradNorm,
    "penalty": lambda s: training.StandardTraining(
        s, penalty=training.GradientNormPenalty()
    ),
    "pag": lambda s: training.PAG(s, lambda x, y: tf.repeat(x[:, None], 3, axis=1)),
}


def _discriminator():
    return models.discriminator(gradient_shape=(8, 8, 1), channels=(4,))


@pytest.mark.parametrize("name", METHODS)
def test_methods_refuse_before_their_first_step(name):
    method = METHODS[name](_odd_student())
    with pytest.raises(ValueError, match="odd_one"):
        _fit(method)
    assert int(method.optimizer.iterations) == 0
    method.check_gradients = False
    _fit(method)


def test_methods_without_input_gradients_do_not_ask():
    _fit(training.StandardTraining(_odd_student()))


def test_a_student_is_looked_at_once(monkeypatch):
    looks = []
    monkeypatch.setattr(
        second_derivatives, "check", lambda student, training: looks.append(training)
    )
    student = _student()
    for _ in range(2):
        _fit(training.GradNorm(student))
    _fit(training.EdgeReg(student))
    assert looks == [False, True]
    resumed = training.EdgeReg(_student())
    resumed.compile(keras.optimizers.SGD(0.1))
    resumed.optimizer.iterations.assign(7)
    resumed.make_train_function()
    assert len(looks) == 2
