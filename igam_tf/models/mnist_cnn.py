"""The two-convolution network of MadryLab's MNIST challenge."""

from collections.abc import Mapping, Sequence

import keras
import numpy as np

from igam_tf.models.activations import activation as activation_layer
from igam_tf.models.data_format import channels_last
from igam_tf.models.kernels import call_with_kernel


@channels_last()
def mnist_cnn(
    *,
    num_classes: int = 10,
    image_shape: tuple[int, int, int] = (28, 28, 1),
    filters: Sequence[int] = (32, 64),
    hidden_units: int = 1024,
    activation: str = "relu",
    kernels: Mapping[str, np.ndarray] | None = None,
    name: str = "mnist_cnn",
) -> keras.Model:
    """5x5 convolutions with 2x2 max pooling, one hidden layer; no normalisation.

    The defaults are the network of MadryLab's `mnist_challenge`.

    Args:
        num_classes: number of logits.
        image_shape: (height, width, channels); each pooling halves height and width.
        filters: filters of each convolution.
        hidden_units: units of the dense layer before the logits.
        activation: one of `igam_tf.models.ACTIVATIONS`.
        kernels: dict of layer name -> array to start from (a checkpoint's, say); None,
            and for the layers that it lacks: drawn at random.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes).

    Raises:
        ValueError: if the images are too small for that many poolings.
    """
    if min(image_shape[:2]) < 2 ** len(filters):
        raise ValueError(
            f"image_shape={tuple(image_shape)} is too small for {len(filters)} 2x2 "
            "poolings; pass fewer filters or larger images."
        )
    images = keras.Input(image_shape, name="images")
    x = images
    for i, num_filters in enumerate(filters, start=1):
        conv = keras.layers.Conv2D(
            num_filters, 5, padding="same", name=f"conv{i}", **_initializers()
        )
        x = call_with_kernel(conv, x, kernels)
        x = activation_layer(activation, f"conv{i}_activation")(x)
        x = keras.layers.MaxPooling2D(2, padding="same", name=f"pool{i}")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    hidden = keras.layers.Dense(hidden_units, name="hidden", **_initializers())
    x = call_with_kernel(hidden, x, kernels)
    x = activation_layer(activation, "hidden_activation")(x)
    logit = keras.layers.Dense(
        num_classes, dtype=keras.config.floatx(), name="logit", **_initializers()
    )
    return keras.Model(images, call_with_kernel(logit, x, kernels), name=name)


def _initializers():
    return {
        "kernel_initializer": keras.initializers.TruncatedNormal(stddev=0.1),
        "bias_initializer": keras.initializers.Constant(0.1),
    }
