"""What a network adds to the loss itself: as in Keras' own `fit`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import distribution, models, training

IMAGES = np.random.default_rng(0).random((32, 8, 8, 1)).astype("float32")
LABELS = np.random.default_rng(1).integers(0, 3, 32).astype("int32")


class _Centring(keras.layers.Layer):
    def call(self, x):
        self.add_loss(0.5 * keras.ops.mean(keras.ops.square(x)))
        return x


def _l2(strength=0.3):
    return keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(strength))


STUDENTS = {
    "kernel": lambda: [_l2()],
    "activity": lambda: [keras.layers.Dense(3, activity_regularizer="l2")],
    "add_loss": lambda: [keras.layers.Dense(3), _Centring()],
    "all": lambda: [
        keras.layers.Dense(4, activity_regularizer="l1"),
        _Centring(),
        _l2(),
    ],
}


def _student(name):
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), *STUDENTS[name]()]
    )


def _fit(model, size=8):
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(size)
    return model.fit(batches, epochs=3, shuffle=False, verbose=0).history


def _trained(method_of, name, **kwargs):
    method = method_of(_student(name), **kwargs)
    method.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    history = _fit(method)
    return method.student.get_weights(), history


@pytest.mark.parametrize("micro_batch", [None, 4])
@pytest.mark.parametrize("name", STUDENTS)
def test_equal_to_kerass_own_training(name, micro_batch):
    plain = _student(name)
    plain.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    expected = _fit(plain)
    weights, history = _trained(
        training.StandardTraining, name, micro_batch=micro_batch
    )
    for a, b in zip(plain.get_weights(), weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)


@pytest.mark.parametrize("name", ["kernel", "activity", "all"])
def test_two_replicas_equal_one(name):
    expected, _ = _trained(training.StandardTraining, name)
    with distribution.strategy("mirrored", devices=2).scope():
        found, _ = _trained(training.StandardTraining, name)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_counted_once_whatever_the_number_of_calls():
    """By hand: a learning rate of 0, one batch; the penalty calls the student again."""
    losses = {}
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        student = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), _l2(weight)]
        )
        penalty = training.GradientNormPenalty(weight=0.0)
        method = training.EdgeReg(student, edge_weights=(0.0, 0.0), penalty=penalty)
        method.compile(keras.optimizers.SGD(0.0))
        losses[weight] = _fit(method, size=32)["loss"][0]
    added = np.square(student.layers[-1].kernel.numpy()).sum()
    assert losses[1.0] - losses[0.0] == pytest.approx(added, rel=1e-4)


def test_regularizers_of_the_discriminator():
    def norm(strength):
        keras.utils.set_random_seed(0)
        kernel = keras.regularizers.L2(strength)
        discriminator = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(2, kernel_regularizer=kernel),
            ]
        )
        student = models.small_cnn(
            num_classes=3, image_shape=(8, 8, 1), filters=(4,), hidden_units=4
        )
        method = training.JARN(student, discriminator, discriminator_every=1)
        method.compile(keras.optimizers.SGD(0.05))
        _fit(method)
        return np.linalg.norm(discriminator.get_weights()[0])

    assert norm(5.0) < 0.5 * norm(0.0)
