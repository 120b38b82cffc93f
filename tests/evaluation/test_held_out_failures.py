"""Failures and honest models that the panel's thresholds were not set on.

The thresholds come from the literature and from the models of
`test_planted_failures.py`. Here are another network, other ways to hide, and models
that are unusual but honest: written after the thresholds, which stayed as they were.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, perceptron, shifted

import igam_tf
from igam_tf import attacks

EPS = 0.08
ROWS = slice(1300, 1360)


def behind(layer):
    return keras.Sequential([keras.Input((8, 8, 1)), layer, perceptron()])


def function(call):
    return keras.layers.Lambda(call)


@tf.custom_gradient
def _wrong_gradient(images):
    """Unchanged; the gradient is multiplied by signs that mean nothing."""

    def gradient(upstream):
        return upstream * tf.sign(tf.sin(1e4 * images + 0.5))

    return tf.identity(images), gradient


def _stairs(images):
    """Sixteen smooth but very steep stairs."""
    stairs = 16 * images
    return (tf.floor(stairs) + tf.sigmoid(400 * (stairs % 1 - 0.5))) / 16


def _blocks(images):
    """Keeps the four most significant bits, as an image file of few bits does."""
    return tf.floor(images * 15.999) / 15


def _centred(images):
    """Half of the mean of the batch's images taken off, as of a batch norm at work."""
    return images - 0.5 * tf.reduce_mean(images, axis=0, keepdims=True)


def _top_half(images):
    """Keeps the brighter half of the pixels (k winners take all)."""
    flat = tf.reshape(images, [-1, 64])
    least = tf.math.top_k(flat, 32).values[:, -1:]
    return tf.reshape(tf.where(flat >= least, flat, 0.0), tf.shape(images))


def wrong_gradient():
    return behind(function(_wrong_gradient))


def steep_stairs():
    return behind(function(_stairs))


def few_bits():
    return behind(function(_blocks))


def dropout():
    """Dropout left on when it should be off."""

    class Always(keras.layers.Dropout):
        def call(self, inputs, training=None):
            return super().call(inputs, training=True)

    return behind(Always(0.2, seed=3))


def centred_batch():
    return behind(function(_centred))


def confident():
    """Logits far apart, though much less so than those of the planted model."""
    return keras.Sequential([perceptron(), keras.layers.Rescaling(150.0)])


def timid():
    """Logits so close together that the cross entropy weighs all classes alike."""
    return keras.Sequential([perceptron(), keras.layers.Rescaling(1e-3)])


FAILURES = {
    wrong_gradient: {"square", "spsa", "pgd_steps", "eps_sweep"},
    steep_stairs: {"vanishing_gradients", "square", "spsa"},
    few_bits: {"vanishing_gradients"},
    dropout: {"randomized"},
    centred_batch: {"batch_dependent"},
    confident: {"loss_function", "vanishing_gradients"},
    timid: {"loss_function"},
}


def examples():
    images, labels = digits()
    return images[ROWS], labels[ROWS]


@functools.cache
def truth():
    """How many of the images the bare network gets right, attacked in earnest."""
    images, labels = examples()
    attack = attacks.APGD(eps=EPS, loss="dlr_targeted")
    found = attack(perceptron(), images, labels)
    right = [perceptron()(x).numpy().argmax(axis=1) == labels for x in (images, found)]
    return int((right[0] & right[1]).sum())


@functools.cache
def evaluated(make):
    return igam_tf.evaluate(
        make(), examples(), ["clean", "pgd20"], eps=EPS, progress=False
    )


@pytest.mark.parametrize("make", FAILURES, ids=lambda make: make.__name__)
def test_a_failure_is_named(make):
    result = evaluated(make)
    warns = set(result["panel"]["warns"])
    assert warns & FAILURES[make]
    assert result["robustbench"]["unreliable"] is True


# Where the layer changes nothing of an image, the bare network is as robust.
@pytest.mark.parametrize(
    "make", [wrong_gradient, confident, timid], ids=lambda make: make.__name__
)
def test_what_is_reported_is_the_truth(make):
    """With PGD-20 and the panel alone, which on its own model is off by 24 images."""
    result = evaluated(make)
    assert result["attacks"]["pgd20"]["num_correct"] > truth() + 10
    # 36 of 60 in place of 35 for the wrong gradient, and nothing was tuned for it; a
    # few images differ with another network.
    spread = 4 if shifted(0) else 1
    assert result["worst_case"]["num_correct"] <= truth() + spread


def log_probabilities():
    return keras.Sequential([perceptron(), keras.layers.Activation("log_softmax")])


def shifted_logits():
    return keras.Sequential([perceptron(), keras.layers.Rescaling(1.0, offset=50.0)])


def blurred():
    return behind(function(lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME")))


def winners():
    return behind(function(_top_half))


@pytest.mark.parametrize(
    "make",
    [perceptron, log_probabilities, shifted_logits, blurred, winners],
    ids=lambda make: make.__name__,
)
def test_an_unusual_but_honest_model_is_left_alone(make):
    result = evaluated(make)
    assert result["panel"]["warns"] == []


def test_the_truth_is_neither_all_nor_nothing():
    assert 5 < truth() < 50
    assert np.mean(perceptron()(examples()[0]).numpy().argmax(1) == examples()[1]) > 0.9
