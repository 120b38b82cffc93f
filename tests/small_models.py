"""Models small enough for tests: one whose worst case is known, one that is trained."""

import functools

import keras
import numpy as np
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


@functools.cache
def digits_net():
    """A small convolutional net trained on the digits, with batch norm."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
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
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    images, labels = digits()
    model.fit(images[:1200], labels[:1200], batch_size=50, epochs=8, verbose=0)
    return model


class CountsCalls(keras.layers.Layer):
    """Counts how often it is called from Python: once for every trace."""

    calls = 0

    def call(self, inputs):
        self.calls += 1
        return inputs
