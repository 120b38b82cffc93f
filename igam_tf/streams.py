"""Random numbers: the seed of a process, and that of a step, split by who draws.

A step has one seed [2]; whatever draws in it takes `seed_of(seed, purpose)`. Two
purposes never share a seed, whatever the step: the purpose stands in its second number.
"""

import enum

import keras
import tensorflow as tf


class Purpose(enum.IntEnum):
    """Everything that is drawn at random within a step. New purposes come last."""

    ATTACK = 1
    PAD_ROWS = 2
    PAD_COLUMNS = 3
    SAMPLED_CLASS = 4
    PAG_NOISE = 5
    PAG_CLASSES = 6
    PAG_OFFSETS = 7
    PAG_FLIPS = 8
    SCORE_NOISE = 9
    DENOISER_LEVEL = 10
    DENOISER_NOISE = 11
    DENOISER_LABEL = 12
    RAND_AUGMENT = 13
    COLOR_JITTER = 14
    RANDOM_ERASING = 15
    MIXED_SHARE = 16
    MIXED_BOX = 17
    MIXED_KIND = 18
    RESIZED_CROP = 30


def set_seed(seed: int) -> None:
    """Seeds Python, NumPy and TensorFlow, hence all initial weights."""
    keras.utils.set_random_seed(seed)


def seed_of(seed: tf.Tensor, purpose: Purpose) -> tf.Tensor:
    """The seed of one purpose.

    Args:
        seed: int32 tensor (2,) of the step.
        purpose: `Purpose`.

    Returns:
        int32 tensor (2,): a hash of the step's seed, and the purpose.
    """
    # By name: the choice of TensorFlow's own would differ between CPU, GPU and XLA.
    return tf.random.experimental.stateless_fold_in(seed, int(purpose), alg="philox")


def seeds_of_images(seed: int, images: tf.Tensor) -> tf.Tensor:
    """A seed for each image, from its pixels: it goes with it into any batch.

    Whole numbers are added up, so that neither the order of images nor that of a sum
    on some processor changes them.

    Args:
        seed: integer.
        images: float tensor (batch, height, width, channels).

    Returns:
        int32 tensor (batch, 2).
    """
    flat = tf.reshape(tf.cast(images, tf.float32), [tf.shape(images)[0], -1])
    # Adding zero makes one number of 0 and -0.
    bits = tf.bitcast(flat + 0.0, tf.int32)
    places = tf.range(tf.shape(bits)[1], dtype=tf.int32)[None]
    # Sums of whole numbers wrap around; odd factors that no two places share.
    marks = [
        tf.reduce_sum(_mixed(bits + places * factor), axis=1)
        for factor in (0x3C6EF373, 0x1B873593)
    ]
    return tf.stack([marks[0] + seed, marks[1]], axis=1)


def _mixed(numbers):
    """Whole numbers, their bits mixed (the finisher of MurmurHash3, public domain)."""
    x = tf.bitcast(numbers, tf.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        x = tf.bitwise.bitwise_xor(
            x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32))
        )
        x *= tf.constant(factor, tf.uint32)
    shifted = tf.bitwise.right_shift(x, tf.constant(16, tf.uint32))
    return tf.bitcast(tf.bitwise.bitwise_xor(x, shifted), tf.int32)


class StepSeeds(keras.random.SeedGenerator):
    """Seeds for Keras' random layers and functions that follow from a step's.

    Keras' own generator counts in a variable, which a checkpoint would have to keep and
    replicas would have to share. This one counts the draws while a step is traced: each
    has its own number, in every step the same.

    Args:
        seed: int32 tensor [2], of one purpose (`seed_of`).
    """

    def __init__(self, seed: tf.Tensor) -> None:
        # Without Keras' own __init__, which makes that variable.
        self._seed = seed
        self._drawn = 0

    def next(self, ordered: bool = True) -> tf.Tensor:
        """The seed of the next draw: int32 tensor (2,)."""
        del ordered
        self._drawn += 1
        return tf.random.experimental.stateless_fold_in(
            self._seed, self._drawn, alg="philox"
        )
