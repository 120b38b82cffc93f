"""Iterations that stop where iterates repeat: the same results, with fewer passes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf.attacks import Restarts, pgd
from igam_tf.attacks.engine.batching import padded_size
from igam_tf.attacks.engine.repeats import _padded_size, until_they_repeat
from igam_tf.attacks.geometry import image_seeds

pytestmark = pytest.mark.fast


@keras.saving.register_keras_serializable("tests")
class CountsImages(keras.layers.Layer):
    """Counts the images that it is called with, wherever it is called."""

    def build(self, shape):
        self.count = self.add_weight(shape=(), dtype="int32", trainable=False)

    def call(self, images):
        self.count.assign_add(tf.shape(images)[0])
        return images


def test_sizes_are_those_of_the_batches_in_python():
    for count in range(300):
        expected = padded_size(count) if count else 0
        assert int(_padded_size(tf.constant(count))) == expected


@pytest.mark.parametrize("num_steps", [0, 1, 2, 3, 8, 9])
def test_periods_of_one_two_and_three(num_steps):
    """x -> (x + 1) mod period, image by image; three is seen as no repetition."""
    periods = np.float32([1, 2, 3, 2, 1] * 8).reshape(-1, 1)
    start = np.zeros_like(periods)
    looked_at = []

    def one_step(points, periods):
        tf.py_function(lambda points: looked_at.append(len(points)), [points], [])
        return tf.math.floormod(points + 1.0, periods)

    @tf.function(autograph=False)
    def run(start, periods, num_steps):
        return until_they_repeat(one_step, start, (periods,), num_steps)

    found = run(tf.constant(start), tf.constant(periods), tf.constant(num_steps))
    np.testing.assert_array_equal(found, num_steps % periods)
    # After two steps the eight of period three are alone.
    assert looked_at == [40, 40, 8, 8, 8, 8, 8, 8, 8][:num_steps]


def counted(layers):
    counter = CountsImages()
    model = keras.Sequential([keras.Input((2, 3, 1)), counter, *layers])
    return model, counter


def plainly(attack, model, images, labels):
    """The same attack by the loop that leaves nothing out, and its passes of images."""
    seeds = tf.constant(image_seeds(attack.seed, 0, len(images)))
    run = tf.function(
        lambda images, labels: attack.perturb(model, images, labels, seed=seeds)
    )
    return run(tf.constant(images), tf.constant(labels)).numpy()


def passes_of(counter, call):
    counter.count.assign(0)
    found = call()
    return found, int(counter.count)


@pytest.mark.parametrize("num_steps", [30, 31])
def test_images_that_go_to_and_fro(num_steps):
    """The logit of the true class is |x - 0.5|: PGD steps over the kink and back."""
    kink = [
        keras.layers.Lambda(lambda images: tf.abs(images - 0.5)),
        keras.layers.Flatten(),
        keras.layers.Dense(2, use_bias=False),
    ]
    model, counter = counted(kink)
    model.layers[-1].set_weights([np.float32([[1, -1]] * 6)])
    images = np.random.default_rng(0).random((20, 2, 3, 1), np.float32)
    labels = np.zeros(20, np.int32)
    attack = pgd(eps=0.25, step_size=1 / 16, num_steps=num_steps)
    expected, all_passes = passes_of(
        counter, lambda: plainly(attack, model, images, labels)
    )
    attack(model, images, labels)
    found, passes = passes_of(counter, lambda: attack(model, images, labels))
    np.testing.assert_array_equal(found, expected)
    assert all_passes == 20 * num_steps
    assert passes < all_passes / 2


def test_images_at_rest_and_restarts_of_those_that_withstand():
    """On a linear model all end in a corner, and the broken need no other start."""
    plain, weights, _ = linear_model()
    model, counter = counted(plain.layers)
    images = np.random.default_rng(0).uniform(0.3, 0.7, (24, 2, 3, 1))
    images = images.astype(np.float32)
    logits = plain(images).numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    reach = np.abs(logits[:, 0] - logits[:, 1])
    reach /= np.abs(weights[:, 0] - weights[:, 1]).sum()
    eps = float(np.sort(reach)[11:13].mean())
    attack = Restarts(pgd(eps=eps, num_steps=40), 4)
    expected, all_passes = passes_of(
        counter, lambda: plainly(attack, model, images, labels)
    )
    attack(model, images, labels)
    found, passes = passes_of(counter, lambda: attack(model, images, labels))
    np.testing.assert_array_equal(found, expected)
    broken = plain(found).numpy().argmax(axis=1) != labels
    np.testing.assert_array_equal(broken, reach < eps)
    assert all_passes == 24 * 4 * 41
    # 8 steps cross the ball, one or two show that nothing moves, one is the look.
    assert passes <= 24 * 12 + 12 * 3 * 12


def test_models_of_one_batch_size_are_attacked_as_they_are():
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(4, 2, 3, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    images = np.full((4, 2, 3, 1), 0.5, np.float32)
    labels = model(images).numpy().argmax(axis=1)
    found = pgd(eps=0.1, num_steps=20)(model, images, labels)
    assert np.abs(found - images).max() == pytest.approx(0.1)
