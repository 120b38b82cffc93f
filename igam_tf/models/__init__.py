"""Networks: functions that return a plain `keras.Model`."""

from igam_tf.models.activations import ACTIVATIONS
from igam_tf.models.discriminator import dense_discriminator, discriminator
from igam_tf.models.freezing import freeze
from igam_tf.models.mnist_cnn import mnist_cnn
from igam_tf.models.moving_variance import unbias_moving_variance
from igam_tf.models.normalization import NORMALIZATIONS
from igam_tf.models.small_cnn import small_cnn
from igam_tf.models.wide_resnet import wide_resnet

__all__ = [
    "ACTIVATIONS",
    "NORMALIZATIONS",
    "dense_discriminator",
    "discriminator",
    "freeze",
    "mnist_cnn",
    "small_cnn",
    "unbias_moving_variance",
    "wide_resnet",
]
