"""Networks: functions that return a plain `keras.Model`."""

from igam_tf.backend import require_tensorflow
from igam_tf.derivatives.resizing import Resize
from igam_tf.models.activations import ACTIVATIONS
from igam_tf.models.backbone import with_backbone
from igam_tf.models.conv_net import conv_net
from igam_tf.models.copying import copy_network, derives_state, set_weights
from igam_tf.models.discriminator import dense_discriminator, discriminator
from igam_tf.models.freezing import freeze, use_batch_statistics, wake_batch_norm
from igam_tf.models.inputs import with_channels_last, with_pixels
from igam_tf.models.mnist_cnn import mnist_cnn
from igam_tf.models.moving_variance import unbias_moving_variance
from igam_tf.models.normalization import NORMALIZATIONS
from igam_tf.models.outputs import (
    one_output,
    output_activation,
    two_logits,
    without_softmax,
)
from igam_tf.models.precision import compute_dtype, in_float32
from igam_tf.models.resnet import preact_resnet
from igam_tf.models.score_network import score_network
from igam_tf.models.small_cnn import small_cnn
from igam_tf.models.swap_activations import swap_activations
from igam_tf.models.vit import vit
from igam_tf.models.wide_resnet import wide_resnet

require_tensorflow()

__all__ = [
    "ACTIVATIONS",
    "NORMALIZATIONS",
    "Resize",
    "compute_dtype",
    "conv_net",
    "copy_network",
    "dense_discriminator",
    "derives_state",
    "discriminator",
    "freeze",
    "in_float32",
    "mnist_cnn",
    "one_output",
    "output_activation",
    "preact_resnet",
    "score_network",
    "set_weights",
    "small_cnn",
    "swap_activations",
    "two_logits",
    "unbias_moving_variance",
    "use_batch_statistics",
    "vit",
    "wake_batch_norm",
    "wide_resnet",
    "with_backbone",
    "with_channels_last",
    "with_pixels",
    "without_softmax",
]
