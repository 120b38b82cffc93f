"""Micro-batches: the same update as the whole batch, with less in memory."""

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf
from small_models import set_seed

from igam_tf import attacks, data, distribution, models, training
from igam_tf.training import micro_batches


def _trained(make_igam, digits, micro_batch, strategy=None, **compile_args):
    with (strategy or tf.distribute.get_strategy()).scope():
        # The discriminator's batch norm sees the parts, so it is left out.
        method = make_igam(
            adversarial_weight=0.0,
            optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
            matching_start=2,
            weight_decay=1e-3,
            micro_batch=micro_batch,
            compile_args=compile_args,
        )
    history = method.fit(
        data.evaluation_batches(digits.train, 24), epochs=2, verbose=0
    ).history
    return method.student.get_weights(), history


@pytest.fixture(scope="module")
def whole(make_igam, digits):
    """Weights and history of training on whole batches."""
    # Without a trace: another way of computing them, and a faster one for six steps.
    with small_models.eagerly():
        return _trained(make_igam, digits, None)


@pytest.mark.parametrize("devices, jit_compile", [(1, False), (1, True), (2, False)])
def test_equal_the_whole_batch(make_igam, digits, whole, devices, jit_compile):
    # 5 of 24 and of 16 images, or of 12 and 8 on two replicas: the last part is
    # smaller.
    strategy = distribution.strategy("mirrored", devices=2) if devices == 2 else None
    expected, expected_history = whole
    found, history = _trained(make_igam, digits, 5, strategy, jit_compile=jit_compile)
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    for name in ("loss", "cross_entropy", "difference", "accuracy", "gradient_cosine"):
        np.testing.assert_allclose(history[name], expected_history[name], rtol=1e-3)


def test_student_and_discriminator_step(make_igam, digits):
    method = make_igam(discriminator_every=1, micro_batch=5)
    before = [v.numpy() for v in method.discriminator.trainable_variables]
    history = method.fit(data.evaluation_batches(digits.train, 16), verbose=0).history
    assert np.isfinite(history["adversarial"]).all()
    after = [v.numpy() for v in method.discriminator.trainable_variables]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_with_an_attack(digits):
    def trained(micro_batch):
        set_seed(3)
        student = models.small_cnn(num_classes=2, filters=(4, 4), hidden_units=8)
        attack = attacks.pgd(eps=0.1, num_steps=2, random_start=False)
        method = training.AdversarialTraining(student, attack, micro_batch=micro_batch)
        method.compile(keras.optimizers.SGD(0.05))
        method.fit(data.evaluation_batches(digits.train, 24), verbose=0)
        return student.get_weights()

    for a, b in zip(trained(None), trained(5), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_parts_in_order_each_with_its_seed():
    def function(tensors, seed, factor):
        part = tf.cast(tf.shape(tensors)[0], tf.float32)
        return {"sum": tf.reduce_sum(tensors) * factor, "parts": 1}, (
            tensors + 1,
            tf.fill([tf.cast(part, tf.int32)], seed[1]),
        )

    rows = tf.range(7, dtype=tf.float32)
    seed = tf.constant([0, 11])
    sums, (plus_one, seeds) = micro_batches.accumulate_gradients(
        function, rows, seed, 2.0, size=3
    )
    assert (sums["sum"].numpy(), sums["parts"].numpy()) == (42, 3)
    np.testing.assert_array_equal(plus_one, np.arange(1, 8))
    assert seeds[0] == 11 and len(set(seeds.numpy())) == 3
    assert list(seeds[:3]) == [11] * 3 and len(set(seeds[3:6].numpy())) == 1


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_bad_size(make_igam, size):
    with pytest.raises(ValueError, match="micro_batch"):
        make_igam(micro_batch=size)
