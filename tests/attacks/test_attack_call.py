"""The two ways to call an attack: on arrays, and inside a compiled function."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import (
    CountsCalls,
    assert_same_images,
    digits,
    digits_net,
    linear_model,
)

from igam_tf import attacks


def batch(count=12):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def state(model):
    return [variable.numpy() for variable in model.variables]


def assert_same_state(model, before):
    for old, new in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_results_do_not_depend_on_the_batch_size(norm):
    images, labels = batch()
    attack = attacks.pgd(eps=0.2, norm=norm, num_steps=3, num_restarts=2, seed=5)
    whole = attack(digits_net(), images, labels)
    parts = [
        attack(digits_net(), images[i : i + 4], labels[i : i + 4], first_index=i)
        for i in (0, 4, 8)
    ]
    assert_same_images(np.concatenate(parts), whole, atol=1e-6)
    moved = attack(digits_net(), images, labels, first_index=1)
    assert not np.allclose(whole, moved, atol=1e-3)


def test_seed_decides():
    images, labels = batch()
    one, again, other = (
        attacks.pgd(eps=0.2, num_steps=2, step_size=0.01, seed=seed)(
            digits_net(), images, labels
        )
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other, atol=1e-3)


def test_compiled_once_for_all_numbers():
    counter = CountsCalls()
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            counter,
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )
    images, labels = batch()
    attacks.pgd(eps=0.1)(model, images, labels)
    calls = counter.calls
    for attack in [
        attacks.fgsm(eps=0.3),
        attacks.pgd(eps=0.2, num_steps=3),
        attacks.pgd(eps=0.1, num_steps=100, step_size=0.01, seed=9),
        attacks.pgd(eps=0.1, random_start=False),
    ]:
        attack(model, images, labels, first_index=50)
    assert counter.calls == calls
    attacks.pgd(eps=0.1, num_restarts=2)(model, images, labels)
    calls = counter.calls
    attacks.pgd(eps=0.1, num_restarts=7)(model, images, labels)
    assert counter.calls == calls


def test_compiled_functions_do_not_keep_a_model_alive():
    model, _, _ = linear_model()
    images, labels = np.full((2, 2, 3, 1), 0.5, np.float32), np.array([0, 1])
    attacks.pgd(eps=0.1, num_restarts=2)(model, images, labels, training=True)
    reference = weakref.ref(model)
    del model
    keras.backend.clear_session()
    gc.collect()
    assert reference() is None


def test_new_weights_are_seen():
    model, weights, bias = linear_model()
    images, labels = np.full((2, 2, 3, 1), 0.5, np.float32), np.array([0, 1])
    before = attacks.fgsm(eps=0.1)(model, images, labels) - images
    model.set_weights([-weights, bias])
    after = attacks.fgsm(eps=0.1)(model, images, labels) - images
    np.testing.assert_allclose(before, -after, atol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("num_restarts", [1, 2])
def test_perturb_in_a_graph_equals_the_call(jit_compile, num_restarts):
    images, labels = batch()
    attack = attacks.pgd(eps=0.1, num_steps=3, num_restarts=num_restarts, seed=4)
    # A start drawn by XLA differs, so that a start at the images is compared there.
    if jit_compile:
        attack = attacks.pgd(eps=0.1, num_steps=3, random_start=False)

    @tf.function(jit_compile=jit_compile)
    def perturbed(images, labels, seeds):
        return attack.perturb(digits_net(), images, labels, seed=seeds)

    seeds = tf.stack([tf.fill([12], 4), tf.range(12)], axis=1)
    found = perturbed(tf.constant(images), tf.constant(labels), seeds).numpy()
    assert_same_images(found, attack(digits_net(), images, labels), atol=1e-6)


@pytest.mark.parametrize("seed", [[1, 2], [[1, 2]] * 12])
def test_perturb_compiles_with_xla_and_random_starts(seed):
    images, labels = batch()
    attack = attacks.pgd(eps=0.1, num_steps=3, num_restarts=2)

    @tf.function(jit_compile=True)
    def perturbed(images, labels):
        return attack.perturb(digits_net(), images, labels, seed=seed, training=True)

    adversarial = perturbed(tf.constant(images), tf.constant(labels)).numpy()
    assert 0.05 < np.abs(adversarial - images).max() <= 0.1 + 1e-6


def test_perturb_with_a_batch_of_unknown_size():
    attack = attacks.pgd(eps=0.1, num_steps=2)
    images, labels = batch(7)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 8, 8, 1]),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def perturbed(images, labels):
        return attack.perturb(digits_net(), images, labels, seed=[1, 2])

    assert perturbed(images, labels).shape == (7, 8, 8, 1)


def test_no_gradient_flows_through_perturb():
    model, _, _ = linear_model()
    images = tf.fill([2, 2, 3, 1], 0.5)
    labels = tf.constant([0, 1])
    # Along a sign no gradient would flow anyway; along a normalised gradient it would.
    attack = attacks.pgd(eps=0.1, num_steps=3, norm="l2")

    @tf.function
    def gradients(inside):
        adversarial = attack.perturb(model, images, labels, seed=[1, 2])
        with tf.GradientTape() as tape:
            if inside:
                adversarial = attack.perturb(model, images, labels, seed=[1, 2])
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(
                labels, model(adversarial)
            )
        return tape.gradient(loss, model.trainable_variables)

    for a, b in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_perturb_on_two_replicas(training):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = keras.models.clone_model(digits_net())
        model.set_weights(digits_net().get_weights())
    before = state(model)
    images, labels = batch()
    attack = attacks.pgd(eps=0.1, num_steps=3, random_start=False)
    data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(12)
    (part,) = strategy.experimental_distribute_dataset(data)

    @tf.function
    def step(part):
        def on_replica(images, labels):
            return attack.perturb(model, images, labels, seed=[0, 1], training=training)

        return strategy.run(on_replica, args=part)

    halves = strategy.experimental_local_results(step(part))
    expected = [
        attack(digits_net(), images[half], labels[half], training=training)
        for half in (slice(0, 6), slice(6, 12))
    ]
    halves = np.concatenate([half.numpy() for half in halves])
    assert_same_images(halves, np.concatenate(expected), atol=1e-6)
    assert_same_state(model, before)


def test_training_mode_uses_the_batch_and_changes_nothing():
    images, labels = batch()
    before = state(digits_net())
    attack = attacks.pgd(eps=0.1, num_steps=5, num_restarts=2)
    in_training = attack(digits_net(), images, labels, training=True)
    assert_same_state(digits_net(), before)
    assert not np.allclose(in_training, attack(digits_net(), images, labels), atol=1e-3)


def no_classifier():
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(3, 3)])


def with_softmax():
    return keras.Sequential([digits_net(), keras.layers.Softmax()])


def with_broken_gradient():
    root = keras.layers.Lambda(lambda x: keras.ops.sqrt(keras.ops.square(0 * x)))
    flat = [keras.layers.Flatten(), keras.layers.Dense(10)]
    return keras.Sequential([keras.Input((8, 8, 1)), root, *flat])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": np.full((12, 8, 8, 1), 2, np.float32)}, r"expected \[0, 1\]"),
        ({"images": np.full((12, 8, 8, 1), np.nan, np.float32)}, "NaN"),
        ({"images": np.zeros((12, 8, 8), np.float32)}, "rank 4"),
        ({"images": np.zeros((12, 8, 8, 1), np.uint8)}, "255"),
        ({"labels": np.eye(12, dtype=np.int32)}, "labels range from 0 to 11"),
        ({"labels": np.full((12, 10), 0.1, np.float32)}, "not exactly one-hot"),
        ({"labels": np.arange(12)}, "labels range from 0 to 11"),
        ({"labels": np.arange(10)}, "12 images and 10 labels"),
        ({"model": no_classifier}, "expected logits"),
        ({"model": with_softmax}, "probabilities"),
        ({"model": lambda: lambda images: images}, "keras.Model"),
        ({"model": with_broken_gradient}, "met NaN at 12 of 12 images"),
    ],
)
def test_bad_input(change, message):
    images, labels = batch()
    arguments = {"model": digits_net, "images": images, "labels": labels, **change}
    arguments["model"] = arguments["model"]()
    with pytest.raises(ValueError, match=message):
        attacks.pgd(eps=0.1)(**arguments)


def test_softmax_taken_off_as_the_error_says():
    images, labels = batch()
    model = keras.models.clone_model(digits_net())
    model.set_weights(digits_net().get_weights())
    model.layers[-1].activation = keras.activations.softmax
    with pytest.raises(ValueError, match="probabilities"):
        attacks.fgsm(eps=0.1)(model, images, labels)
    model.layers[-1].activation = keras.activations.linear
    np.testing.assert_allclose(
        attacks.fgsm(eps=0.1)(model, images, labels),
        attacks.fgsm(eps=0.1)(digits_net(), images, labels),
        atol=1e-6,
    )
