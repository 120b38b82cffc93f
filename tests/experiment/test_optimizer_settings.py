"""The discriminator decays as the student does, whatever optimizer it has."""

import types

import keras
import numpy as np
import pytest

from igam_tf import models
from igam_tf.experiment import Experiment
from igam_tf.experiment.setup import Setup
from igam_tf.training.optimizers import is_kernel

DECAY, RATE = 0.05, 0.5


def _method(**flags):
    experiment = Experiment(
        source="digits",
        target="digits_parity",
        discriminator_channels=(2,),
        weight_decay=DECAY,
        learning_rate=RATE,
        learning_rate_schedule="constant",
        **flags,
    )
    setup = Setup(
        experiment=experiment,
        task=types.SimpleNamespace(name="digits_parity"),
        student=models.small_cnn(num_classes=2, filters=(2,), hidden_units=2),
        total_steps=8,
    )
    return experiment.settings_of("jarn").build(setup)


@pytest.mark.parametrize("own_rate", [0.0, 0.25])
def test_adamw_decays_the_discriminator_too(own_rate):
    method = _method(optimizer="adamw", discriminator_learning_rate=own_rate)
    # No term of the loss, which would be a second decay.
    assert method.weight_decay == 0
    optimizer = method.discriminator_optimizer
    variables = method.discriminator.trainable_variables
    for variable in variables:
        variable.assign(keras.ops.ones_like(variable))
    optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
    for variable in variables:
        # By hand: Adam's own step of a gradient of zero is zero.
        left = 1 - (own_rate or RATE) * DECAY if is_kernel(variable) else 1
        np.testing.assert_allclose(variable, left * np.ones(variable.shape), rtol=1e-6)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_beside_other_optimizers_the_decay_is_in_the_loss(name):
    method = _method(optimizer=name, discriminator_learning_rate=0.25)
    assert method.weight_decay == DECAY
    optimizer = method.discriminator_optimizer
    assert isinstance(optimizer, keras.optimizers.Adam) and not optimizer.weight_decay
    assert float(optimizer.learning_rate) == 0.25


def test_clipping_and_averages_are_the_students():
    own = {"gradient_clip_norm": 1.0, "weights_ema": 0.9}
    method = _method(discriminator_learning_rate=0.25, **own)
    assert method.optimizer.global_clipnorm == 1 and method.optimizer.use_ema
    optimizer = method.discriminator_optimizer
    assert not optimizer.global_clipnorm and not optimizer.use_ema
