"""The gradient norm by differences of losses: by hand, and against the exact one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import training
from igam_tf.experiment import Experiment
from igam_tf.experiment.setup import Setup
from igam_tf.training import finite_differences

WEIGHTS = np.array([2.0, -1.0, 0.5, 0.0])
POINT = np.array([0.5, 0.25, 0.75, 0.5])


def _logistic():
    """Logits (0, w x): the loss of class 0 is softplus(w x)."""
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, dtype="float32"),
        ]
    )
    kernel = np.stack([np.zeros(4), WEIGHTS], axis=1)
    model.set_weights([kernel, np.zeros(2)])
    return model


IMAGES = tf.constant(POINT.reshape(1, 2, 2, 1), tf.float32)
LABELS = tf.constant([0])


def _size(model, norm, step, images=IMAGES):
    size, _ = finite_differences.gradient_size(
        model, images, tf.zeros([len(images)], tf.int32),
        norm=norm, step=step, training=False,
    )  # fmt: skip
    return size


def test_a_logistic_model_by_hand():
    z, h = WEIGHTS @ POINT, 0.1
    rate = 1 / (1 + np.exp(-z))
    loss = np.logaddexp(0, z)
    # Signs: three of four, the fourth pixel has no gradient and does not move.
    there = z + h / np.sqrt(3) * np.abs(WEIGHTS).sum()
    expected = np.sqrt(3) * (np.logaddexp(0, there) - loss) / h
    assert float(_size(_logistic(), "l1", h)[0]) == pytest.approx(expected, rel=1e-4)
    # Larger than the norm by h / 2 times the curvature along the step.
    exact = rate * np.abs(WEIGHTS).sum()
    curvature = rate * (1 - rate) * np.abs(WEIGHTS).sum() ** 2 / 3
    assert expected - exact == pytest.approx(np.sqrt(3) * h / 2 * curvature, rel=0.05)
    length = np.linalg.norm(WEIGHTS)
    expected = ((np.logaddexp(0, z + h * length) - loss) / h) ** 2
    found = float(_size(_logistic(), "squared_l2", h)[0])
    assert found == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def float64():
    precision, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize("norm", ["l1", "squared_l2"])
def test_the_weights_get_the_gradient_of_the_exact_penalty(float64, norm):
    """Of a network of two layers, in a precision in which the step may be short."""
    layers = [keras.layers.Dense(5, "gelu"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), *layers])
    images = np.random.default_rng(0).random((3, 2, 2, 1))
    labels, found = tf.constant([0, 1, 1]), []
    for step in (0.0, 1e-5):
        penalty = training.GradientNormPenalty(
            weight=3.0, norm=norm, difference_step=step
        )
        with tf.GradientTape() as tape:
            size, _ = penalty.and_logits(model, images, labels, tf.constant(0))
        weights = [v.value for v in model.trainable_variables]
        gradients = tape.gradient(size, weights, unconnected_gradients="zero")
        found.append([size.numpy(), *(g.numpy() for g in gradients)])
    for exact, difference in zip(*found, strict=True):
        np.testing.assert_allclose(difference, exact, rtol=1e-3, atol=1e-6)
    assert np.abs(found[0][1]).max() > 1e-2


def test_a_network_without_gradient_has_size_zero():
    model = _logistic()
    model.set_weights([0 * w for w in model.get_weights()])
    with tf.GradientTape() as tape:
        size = _size(model, "l1", 0.01) + _size(model, "squared_l2", 0.01)
    gradients = tape.gradient(size, [v.value for v in model.trainable_variables])
    assert float(size[0]) == 0 and all(np.isfinite(g).all() for g in gradients)


def test_gradnorm_takes_it_and_asks_for_no_second_derivative():
    penalty = training.GradientNormPenalty(difference_step=0.01)
    method = training.GradNorm(_logistic(), gradient_norm=penalty)
    method.compile(keras.optimizers.SGD(0.0))
    assert method.input_gradient_modes() == set()
    beside = training.StandardTraining(_logistic(), penalty=penalty)
    assert beside.input_gradient_modes() == set()
    terms, _, _ = method.loss_terms(IMAGES, LABELS, (), phase="train", global_batch=1.0)
    expected = 1.2 * 4 / 255 * float(_size(_logistic(), "l1", 0.01)[0])
    assert float(terms["input_gradient_norm"][0]) == pytest.approx(expected, rel=1e-5)
    z = WEIGHTS @ POINT
    expected = 0.8 * np.logaddexp(0, z)
    assert float(terms["cross_entropy"][0]) == pytest.approx(expected, rel=1e-5)


def test_half_precision_and_negative_steps_are_refused():
    penalty = training.GradientNormPenalty(difference_step=0.01)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = _logistic()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match="difference_step"):
        training.GradientNormPenalty(difference_step=-0.01)
    assert half.layers[0].compute_dtype == "bfloat16"
    with pytest.raises(ValueError, match="computes in bfloat16: expected float32"):
        training.StandardTraining(half, penalty=penalty)


def test_a_flag_turns_it_on():
    given = {"source": "digits", "target": "digits_parity", "step_size": 0.01}
    flag = "gradient_norm_difference_step"
    for step in (0.0, 0.02):
        setup = Setup(
            experiment=Experiment(**given, **{flag: step}),
            task=None,
            student=None,
            total_steps=1,
        )
        assert setup.penalty(1.2).difference_step == step
    with pytest.raises(ValueError, match=f"--{flag}=0.02 with --precision=mixed"):
        Experiment(**given, **{flag: 0.02}, precision="mixed_bfloat16")
