"""TF1's momentum across a change of the learning rate, and schedules."""

import keras
import numpy as np
import pytest

from igam_tf import training
from igam_tf.training.optimizers import following

pytestmark = pytest.mark.fast


def test_momentum_keeps_the_gradient_not_its_product_with_the_rate():
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.1, 0.01])
    optimizer = training.Momentum(rates, momentum=0.9)
    variable = keras.Variable([1.0])
    optimizer.build([variable])
    # By hand: accumulators 2, 3.8, 5.42; rates 0.1, 0.1 (boundaries are inclusive),
    # 0.01.
    expected = [1 - 0.2, 1 - 0.2 - 0.38, 1 - 0.2 - 0.38 - 0.0542]
    for value in expected:
        optimizer.apply([keras.ops.convert_to_tensor([2.0])], [variable])
        np.testing.assert_allclose(variable.numpy(), [value], rtol=1e-6)


def test_momentum_by_default_and_without():
    for arguments, second in (({}, 0.2 + 0.38), ({"momentum": 0.0}, 0.4)):
        optimizer = training.Momentum(0.1, **arguments)
        variable = keras.Variable([1.0])
        optimizer.build([variable])
        for _ in range(2):
            optimizer.apply([keras.ops.convert_to_tensor([2.0])], [variable])
        np.testing.assert_allclose(variable.numpy(), [1 - second], rtol=1e-6)


def test_piecewise_constant_drops_at_half_and_three_quarters():
    schedule = training.piecewise_constant(0.1, 8)
    rates = [float(schedule(step)) for step in range(8)]
    expected = [0.1] * 5 + [0.01] * 2 + [0.001]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert training.piecewise_constant(0.1, 1) == 0.1


def test_the_discriminator_follows_the_schedule_of_the_student():
    student = training.Momentum(training.piecewise_constant(0.1, 80), momentum=0.9)
    discriminator = following(student, start=23, every=10)
    # Its steps fall on the student's steps 30, 40, 50, 60, 70.
    rates = [float(discriminator._learning_rate(step)) for step in range(5)]
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-6)
    assert discriminator.momentum == 0.9


def test_cosine_after_a_warm_up():
    schedule = training.cosine(0.8, 8, warmup=0.5, last=0.2)
    rates = [float(schedule(step)) for step in range(9)]
    # Up from a thousandth in four steps, then half a cosine of four to 0.2.
    up = [0.0008 + part * 0.7992 for part in (0, 0.25, 0.5, 0.75)]
    down = [0.2 + 0.3 * (1 + np.cos(np.pi * step / 4)) for step in range(5)]
    np.testing.assert_allclose(rates, [*up, *down], rtol=1e-5)
    rates = [float(training.cosine(0.8, 2)(step)) for step in range(3)]
    np.testing.assert_allclose(rates, [0.8, 0.4, 0.0], atol=1e-6)


def test_decoupled_decay_leaves_norms_and_biases_alone():
    variables = [keras.Variable([1.0], name=n) for n in ("kernel", "bias", "gamma")]
    optimizer = keras.optimizers.AdamW(0.5, weight_decay=0.1)
    training.decay_kernels_only(optimizer, variables)
    optimizer.build(variables)
    zero = keras.ops.zeros([1])
    optimizer.apply([zero, zero, zero], variables)
    # By hand: 1 - 0.5 * 0.1; Adam's own step of a gradient of zero is zero.
    np.testing.assert_allclose([float(v[0]) for v in variables], [0.95, 1, 1])
    training.decay_kernels_only(keras.optimizers.SGD(0.1), variables)
