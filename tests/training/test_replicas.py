"""Replicas, XLA and the loop: all train to the same weights, and trace a step once."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import attacks, data, distribution, models, training
from igam_tf.training.optimizers import apply_gradients

PLAIN = tf.distribute.get_strategy


def _two():
    return distribution.strategy("mirrored", devices=2)


def _one_mirrored():
    return distribution.strategy("mirrored", devices=1)


def _trained(make_igam, digits, strategy, **compile_args):
    with strategy.scope():
        # Stochastic gradient descent: Adam turns rounding noise into full steps. The
        # discriminator's batch norm, whose statistics are per replica, is left out.
        method = make_igam(
            adversarial_weight=0.0,
            optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
            matching_start=2,
            weight_decay=1e-3,
            compile_args=compile_args,
        )
    traces, original = [], method.loss_terms
    method.loss_terms = lambda *args, **kwargs: (
        traces.append(kwargs["phase"]) or original(*args, **kwargs)
    )
    # 24 images a batch of 64: the last one is partial.
    batches = data.evaluation_batches(digits.train, 24)
    history = method.fit(batches, epochs=2, verbose=0, validation_data=batches).history
    weights = method.student.get_weights()
    # Nothing is traced again, not even for the last batch of an epoch.
    traced = sorted(traces)
    method.fit(batches, epochs=1, verbose=0)
    assert sorted(traces) == traced
    return weights, history, traced


@pytest.fixture(scope="module")
def plain(make_igam, digits):
    """Weights and history of the training that all others are compared with."""
    *found, traced = _trained(make_igam, digits, PLAIN())
    assert traced == ["matching", "plain"]
    return found


@pytest.mark.parametrize(
    "strategy, compile_args, tolerance, traces_each",
    [
        # The loop over steps holds the step a second time.
        (PLAIN, {"steps_per_execution": 3}, 0, 2),
        (PLAIN, {"jit_compile": True}, 1e-5, 1),
        (_one_mirrored, {}, 1e-5, 1),
        # One graph a replica.
        (_two, {}, 1e-5, 2),
        (_two, {"jit_compile": True}, 1e-5, 2),
    ],
    ids=["executions", "xla", "mirrored", "two", "two-xla"],
)
def test_equals_plain_training(
    make_igam, digits, plain, strategy, compile_args, tolerance, traces_each
):
    expected, history = plain
    found, found_history, traced = _trained(
        make_igam, digits, strategy(), **compile_args
    )
    assert traced == ["matching"] * traces_each + ["plain"] * traces_each
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=tolerance)
    for name in ("loss", "cross_entropy", "difference", "accuracy", "gradient_cosine",
                 "val_loss", "val_accuracy"):  # fmt: skip
        np.testing.assert_allclose(history[name], found_history[name], rtol=1e-3)


def test_rewritten_graphs_train_the_same(make_igam, digits, plain, rewritten_graphs):
    expected, _ = plain
    found, _, _ = _trained(make_igam, digits, PLAIN())
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_adversarial_terms_run_on_two_replicas(make_igam, digits, jit_compile):
    with _two().scope():
        method = make_igam(
            discriminator_every=1, compile_args={"jit_compile": jit_compile}
        )
    before = [v.numpy() for v in method.discriminator.trainable_variables]
    method.fit(data.evaluation_batches(digits.train, 16), epochs=1, verbose=0)
    after = [v.numpy() for v in method.discriminator.trainable_variables]
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("strategy", [PLAIN, _two], ids=["one", "two"])
def test_adversarial_training(digits, strategy, jit_compile):
    with strategy().scope():
        student = models.small_cnn(num_classes=2, filters=(4, 4), hidden_units=8)
        attack = attacks.pgd(eps=0.1, num_steps=3)
        method = training.AdversarialTraining(student, attack)
        method.compile(keras.optimizers.Adam(1e-2), jit_compile=jit_compile)
    batches = data.evaluation_batches(digits.train, 32)
    losses = method.fit(batches, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.97 * losses[0]
    natural = training.StandardTraining(student)
    natural.compile(keras.optimizers.SGD(0.0))
    # The trained loss is that of attacked images: above that of natural ones, with the
    # same weights.
    method.optimizer.learning_rate.assign(0.0)
    (attacked,) = method.fit(batches, epochs=1, verbose=0).history["loss"]
    clean = natural.evaluate(batches, verbose=0, return_dict=True)["loss"]
    assert attacked > clean + 1e-3


@pytest.mark.fast
@pytest.mark.parametrize(
    "limit, expected",
    [
        # By hand, of the sum (3, 4): of norm 5 there is 1 left, or no value above 3.5.
        # Clipped replica by replica it would be (1, 1) and (3, 4).
        ({"global_clipnorm": 1.0}, (0.6, 0.8)),
        ({"clipnorm": 1.0}, (0.6, 0.8)),
        ({"clipvalue": 3.5}, (3.0, 3.5)),
        ({}, (3.0, 4.0)),
    ],
    ids=["global", "norm", "value", "none"],
)
@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_are_clipped_over_all_replicas(limit, expected, scaled):
    strategy = _two()
    with strategy.scope():
        variable = keras.Variable([0.0, 0.0])
        optimizer = keras.optimizers.SGD(1.0, **limit)
        if scaled:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build([variable])

    @tf.function
    def step(shares):
        def on_replica(shares):
            context = tf.distribute.get_replica_context()
            share = shares[context.replica_id_in_sync_group]
            gradients = [optimizer.scale_loss(share)]
            apply_gradients(optimizer, gradients, [variable])

        strategy.run(on_replica, (shares,))

    step(tf.constant([[3.0, 0.0], [0.0, 4.0]]))
    np.testing.assert_allclose(variable.numpy(), np.negative(expected), rtol=1e-6)
    if scaled:
        step(tf.constant([[np.inf, 0.0], [0.0, 4.0]]))
        # An overflow on one replica is a step for none, and halves the scale.
        np.testing.assert_allclose(variable.numpy(), np.negative(expected), rtol=1e-6)
        assert float(optimizer.scale_loss(1.0)) == 2.0**14


@pytest.mark.fast
def test_a_phase_that_never_comes_is_none(make_igam):
    assert make_igam(matching_start=0).phases == ("matching",)
    method = make_igam(matching_start=1)
    assert [int(method.phase(tf.constant(step))) for step in (0, 1)] == [0, 1]
    assert method.phases == ("plain", "matching")
