"""RandAugment, colour jitter and random erasing, seeded by the step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import streams, training
from igam_tf.training import distortions

IMAGES = tf.constant(np.random.default_rng(0).random((6, 8, 8, 3)), tf.float32)


def _seeds(step=0):
    return streams.StepSeeds(tf.constant([1, step]))


@pytest.mark.parametrize("name", distortions.operations(9.0))
def test_each_operation(name):
    operation = distortions.operations(9.0)[name]
    found = operation(IMAGES, _seeds()).numpy()
    assert found.shape == IMAGES.shape
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(found, operation(IMAGES, _seeds()))
    # Some batches have no image that drew the operation.
    assert operation(IMAGES[:0], _seeds()).shape == (0, 8, 8, 3)
    if name != "identity":
        assert np.abs(found - IMAGES).max() > 1e-3
    # Of strength 0 nothing is left but what has no strength, and rounding to 8 bits.
    if name not in ("auto_contrast", "equalize"):
        weakest = distortions.operations(0.0)[name](IMAGES, _seeds())
        np.testing.assert_allclose(weakest, IMAGES, atol=1 / 255 + 1e-4)


@pytest.mark.fast
def test_operations_by_hand():
    operations = distortions.operations(10.0)
    images = tf.constant([0.0, 0.1, 0.9, 1.0], shape=[1, 2, 2, 1])
    # Four bits: multiples of 16 of 255.
    found = operations["posterize"](images, _seeds()).numpy().ravel()
    np.testing.assert_allclose(found, np.array([0, 16, 224, 240]) / 255, atol=1e-6)
    # Equalised, each image by itself, an image of two halves is black and white.
    halves = tf.concat([tf.fill([1, 4, 8, 1], 0.4), tf.fill([1, 4, 8, 1], 0.6)], axis=1)
    both = tf.concat([halves, IMAGES[:1, ..., :1]], axis=0)
    found = operations["equalize"](both, _seeds()).numpy()
    alone = operations["equalize"](halves, _seeds()).numpy()
    np.testing.assert_allclose(found[0], alone[0], atol=1e-6)
    assert alone[0].max() - alone[0].min() > 0.9
    # Grey images have no colour to change.
    np.testing.assert_array_equal(operations["color"](images, _seeds()), images)


@pytest.mark.fast
def test_each_image_gets_its_own_two_operations_and_keeps_its_place():
    choices = {
        "keep": lambda images, seeds: images,
        "halve": lambda images, seeds: images / 2,
        "never": lambda images, seeds: images / 3,
    }
    images = tf.reshape(tf.range(1.0, 61.0), [60, 1, 1, 1])
    found = distortions.rand_augment(choices, images, _seeds())
    factors = (tf.squeeze(found) / tf.range(1.0, 61.0)).numpy()
    expected = [1, 1 / 2, 1 / 3, 1 / 4, 1 / 6, 1 / 9]
    assert {min(expected, key=lambda e: abs(e - f)) for f in factors} == set(expected)
    assert np.abs(factors[:, None] - expected).min(axis=1).max() < 1e-6


def test_all_of_them_follow_from_the_seed_of_the_step():
    distort = training.Distortions(
        rand_augment=9, color_jitter=0.4, random_erasing=0.25
    )
    found = [distort(IMAGES, tf.constant([0, step])).numpy() for step in (4, 4, 5)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any(axis=(1, 2, 3)).all()
    assert found[0].min() >= 0 and found[0].max() <= 1
    # No generator of Keras, nor Python's own, has a part in it.
    keras.utils.set_random_seed(99)
    again = training.Distortions(rand_augment=9, color_jitter=0.4, random_erasing=0.25)
    np.testing.assert_array_equal(again(IMAGES, tf.constant([0, 4])), found[0])


@pytest.mark.fast
def test_erasing_is_a_box_with_the_given_probability():
    grey = tf.fill([40, 16, 16, 3], 0.5)
    all_of_them = training.Distortions(random_erasing=1.0)(grey, tf.constant([0, 1]))
    changed = (all_of_them.numpy() != 0.5).any(axis=3)
    for one in changed:
        assert 0 < one.sum() <= one.any(axis=1).sum() * one.any(axis=0).sum() <= 100
    some = training.Distortions(random_erasing=0.25)(grey, tf.constant([0, 1]))
    count = (some.numpy() != 0.5).any(axis=(1, 2, 3)).sum()
    assert 2 <= count <= 22


@pytest.mark.fast
def test_jitter_by_hand():
    # Of an image of one grey only the brightness can change.
    grey = tf.fill([50, 2, 2, 3], 0.5)
    found = training.Distortions(color_jitter=0.4)(grey, tf.constant([0, 1])).numpy()
    factors = found[:, 0, 0, 0] / 0.5
    assert np.ptp(found, axis=(1, 2, 3)).max() < 1e-6
    assert factors.min() >= 0.6 - 1e-6 and factors.max() <= 1.4 + 1e-6
    assert factors.min() < 0.75 and factors.max() > 1.25


@pytest.mark.fast
@pytest.mark.parametrize(
    "name, value", [("rand_augment", 11), ("color_jitter", -0.1), ("random_erasing", 2)]
)
def test_bad_numbers(name, value):
    with pytest.raises(ValueError, match=f"^{name}={value}: expected a number from 0"):
        training.Distortions(**{name: value})
