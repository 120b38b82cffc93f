"""Models small enough for tests: one whose worst case is known, two that are trained.

Training ends in other weights on another processor, so the trained ones are shipped, in
`tests/networks`; `python tests/networks/train.py` made them. `IGAM_TF_TEST_SEED=1
python -m pytest` trains them, and makes every other network of the tests, from other
seeds (any whole number but 0, which stands for the seeds as they are written).
"""

import contextlib
import functools
import os
import pathlib

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import load_digits


def linear_model(shape=(2, 3, 1), num_classes=2, seed=0):
    """Logits = W x + b, small at a grey image. Returns the model, W and b."""
    generator = np.random.default_rng(seed)
    model = keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)]
    )
    weights = generator.normal(size=(int(np.prod(shape)), num_classes))
    bias = 0.1 * generator.normal(size=num_classes) - weights.sum(axis=0) / 2
    model.set_weights([weights.astype(np.float32), bias.astype(np.float32)])
    return model, weights, bias


@functools.cache
def digits():
    """scikit-learn's digits: images (1797, 8, 8, 1) in [0, 1] and labels."""
    data = load_digits()
    images = (data.images[..., None] / 16).astype(np.float32)
    return images, data.target.astype(np.int32)


def shifted(seed):
    """The seed of a test's network, or, with IGAM_TF_TEST_SEED, another one."""
    return seed + 1000 * int(os.environ.get("IGAM_TF_TEST_SEED", "0"))


def set_seed(seed):
    """`keras.utils.set_random_seed` of the seed that `shifted` gives."""
    keras.utils.set_random_seed(shifted(seed))


@contextlib.contextmanager
def eagerly():
    """Within it no function is traced, which takes as long as some ten steps.

    For tests of what stands around a training of fewer: folders, flags, tables.
    """
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def new_digits_net():
    """A small convolutional net for the digits, with batch norm, not trained."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, strides=2, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(10),
        ]
    )


def new_perceptron():
    """Two hidden layers without convolution or batch norm, not trained."""
    layers = [keras.layers.Dense(96, "gelu"), keras.layers.Dense(48, "gelu")]
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Flatten(),
            *layers,
            keras.layers.Dense(10),
        ]
    )


# Of each trained network: how it is made, its seed, and how it is trained.
TRAINED = {
    "digits_net": (new_digits_net, 1, 3e-3, {"batch_size": 50, "epochs": 8}),
    "perceptron": (new_perceptron, 7, 2e-3, {"batch_size": 32, "epochs": 15}),
}


def train(name):
    """Trains a network of TRAINED on 1200 of the digits."""
    make, seed, learning_rate, settings = TRAINED[name]
    set_seed(seed)
    model = make()
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = digits()
    model.fit(images[:1200], labels[:1200], verbose=0, **settings)
    return model


def weights_file(name):
    """Arrays in the order of `get_weights`: any version of Keras reads them."""
    return pathlib.Path(__file__).with_name("networks") / f"{name}.npz"


def _trained(name):
    if shifted(0):
        return train(name)
    model = TRAINED[name][0]()
    with np.load(weights_file(name)) as arrays:
        model.set_weights([arrays[key] for key in arrays])
    return model


@functools.cache
def digits_net():
    """A small convolutional net trained on the digits, with batch norm."""
    return _trained("digits_net")


@functools.cache
def perceptron():
    """A network of another kind, trained on the same digits."""
    return _trained("perceptron")


def assert_same_images(found, expected, atol):
    """All images but one are the same: the sign of a gradient near zero may differ.

    Kernels round in another order for another size of a batch, and a sign that differs
    sends that image elsewhere. A wrong seed or a wrong row would change most of them.
    """
    assert found.shape == expected.shape
    differs = (np.abs(found - expected) > atol).reshape(len(found), -1).any(axis=1)
    assert differs.sum() <= 1, np.flatnonzero(differs)


class CountsCalls(keras.layers.Layer):
    """Counts how often it is called from Python: once for every trace."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs


def rewinding(method):
    """Function to a compiled method, set back to how it is now: it is traced once.

    What it was trained to is gone then: take from it what is compared before.
    """
    optimizers = method.optimizer, method.discriminator_optimizer
    variables = [v for part in (method, *optimizers) for v in part.variables]
    values = [v.numpy() for v in variables]

    def rewind():
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return method

    return rewind
