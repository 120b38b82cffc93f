"""Classifiers that only look robust: one base network, each with another mask.

None of the masks makes it more robust than the base is, up to what its own forward
pass changes: an attack on the base shows how robust it is at most.
"""

import keras
import tensorflow as tf
from small_models import digits_net

# The digits have 17 grey levels.
LEVELS = 16
NOISE = 0.15


def masked(mask):
    """The base network behind a layer that changes the images."""
    return keras.Sequential([keras.Input((8, 8, 1)), mask, digits_net()])


class Quantise(keras.layers.Layer):
    """Rounds to the grey levels; rounding has no gradient."""

    def call(self, images):
        return tf.round(images * LEVELS) / LEVELS


class Ripple(keras.layers.Layer):
    """Adds a wave too small to see, whose slope drowns that of the image."""

    def call(self, images):
        return images + 2e-4 * tf.sin(2e5 * images)


class StopGradient(keras.layers.Layer):
    """Changes nothing but the gradient, which is zero."""

    def call(self, images):
        return tf.stop_gradient(images)


class Randomise(keras.layers.Layer):
    """Adds noise at test time."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, images):
        shape = tf.shape(images)
        return images + NOISE * keras.random.normal(shape, seed=self.seed_generator)


class Alarm(keras.layers.Layer):
    """Rounds all images, hence without gradient, once the batch looks perturbed."""

    def call(self, images):
        rounded = tf.round(images * LEVELS) / LEVELS
        is_alarmed = tf.reduce_mean(tf.abs(images - rounded)) > 0.005
        return tf.where(is_alarmed, rounded, images)


class DeadZone(keras.layers.Layer):
    """Flat in the immediate surroundings of every image of 17 grey levels."""

    def call(self, images):
        rounded = tf.round(images * LEVELS) / LEVELS
        distance = tf.reduce_max(
            tf.abs(images - rounded), axis=(1, 2, 3), keepdims=True
        )
        return tf.where(distance < 0.01, rounded, images)


def large_logits():
    """Logits so large that the cross entropy of a right answer is 0 in float32."""
    return keras.Sequential([digits_net(), keras.layers.Rescaling(1e4)])


class Label(keras.layers.Layer):
    """One for the largest logit and zero for the others, ten times."""

    def call(self, logits):
        return 10.0 * tf.one_hot(tf.argmax(logits, axis=1), logits.shape[1])


def labels_only():
    """A model that tells nothing but the label."""
    return keras.Sequential([digits_net(), Label()])


class RoundLogits(keras.layers.Layer):
    def call(self, logits):
        return 4.0 * tf.round(logits / 4.0)


def rounded_logits():
    return keras.Sequential([digits_net(), RoundLogits()])


def softmax():
    return keras.Sequential([digits_net(), keras.layers.Softmax()])


def sigmoid():
    return keras.Sequential([digits_net(), keras.layers.Activation("sigmoid")])
