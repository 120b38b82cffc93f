"""What tells models apart, so that no file gives one model's result to another."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model, set_seed

from igam_tf.attacks.identity import model_digest

pytestmark = pytest.mark.fast


def noisy(rate=0.5, units=3, factor=2.0):
    set_seed(0)
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Rescaling(factor),
            keras.layers.Dropout(rate, seed=3),
            keras.layers.Flatten(),
            keras.layers.Dense(units),
        ]
    )


def test_made_again_it_is_the_same():
    """Whatever number Keras gives its layers, and however often it was called."""
    first = noisy()
    digest = model_digest(first)
    first(np.ones((2, 4, 4, 1), "float32"), training=True)
    assert model_digest(first) == model_digest(noisy()) == digest


def test_loaded_it_is_the_same(tmp_path):
    model = noisy()
    model.save(tmp_path / "model.keras")
    assert model_digest(keras.saving.load_model(tmp_path / "model.keras")) == (
        model_digest(model)
    )


@pytest.mark.parametrize("other", [{"rate": 0.4}, {"units": 4}, {"factor": 3.0}])
def test_other_layers(other):
    assert model_digest(noisy(**other)) != model_digest(noisy())


def test_other_weights():
    model, *_ = linear_model()
    before = model_digest(model)
    model.layers[-1].bias.assign_add([1e-3, 0.0])
    assert model_digest(model) != before


def test_a_model_that_cannot_say_how_it_is_configured():
    class Scaled(keras.Model):
        def __init__(self, function):
            super().__init__()
            self.function, self.logits = function, keras.layers.Dense(3)

        def call(self, images):
            return self.logits(tf.reshape(self.function(images), [-1, 16]))

    models = []
    for function in (lambda x: x, lambda x: 2 * x):
        set_seed(0)
        models.append(Scaled(function))
        models[-1](np.ones((2, 4, 4, 1), "float32"))
    # Its class and weights are all that is known.
    assert model_digest(models[0]) == model_digest(models[1])
    models[0].logits.kernel.assign_add(tf.ones((16, 3)))
    assert model_digest(models[0]) != model_digest(models[1])
