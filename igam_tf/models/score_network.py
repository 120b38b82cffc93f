"""A small class-conditional denoiser, whose scores are targets of PAG."""

from collections.abc import Sequence

import keras
from keras import ops

from igam_tf.models.data_format import channels_last

#: The middle of the pixel range, where the denoiser has its origin.
_CENTRE = 0.5


@channels_last()
def score_network(
    *,
    num_classes: int,
    image_shape: tuple[int, int, int] = (32, 32, 3),
    filters: Sequence[int] = (32, 64, 64),
    embedding_units: int = 64,
    data_deviation: float = 0.3,
    name: str = "score_network",
) -> keras.Model:
    """U-Net from (noisy images, classes, noise levels) to denoised images.

    Class `num_classes` stands for "no class", so that one network has both the
    conditional and the unconditional score: (denoised - noisy) / sigma^2. Input, output
    and shortcut are scaled by the noise level as in Karras et al. (2022), Table 1.

    Args:
        num_classes: number of classes of the task.
        image_shape: (height, width, channels); the sides divisible by
            2^(len(filters) - 1).
        filters: filters of each resolution, the full one first.
        embedding_units: units of the embedding of class and noise level.
        data_deviation: standard deviation of the pixels of the data.
        name: the model's name.

    Returns:
        keras.Model with the inputs [noisy images (batch, *image_shape), classes int32
        (batch,) in 0..num_classes, sigmas float32 (batch,)], made of keras layers and
        ops only.

    Raises:
        ValueError: if the images cannot be halved that often.
    """
    halvings = len(filters) - 1
    if any(side % 2**halvings for side in image_shape[:2]):
        raise ValueError(
            f"image_shape={tuple(image_shape)}: {len(filters)} resolutions halve both "
            f"sides {halvings} times; pass fewer filters."
        )
    noisy = keras.Input(image_shape, name="noisy_images")
    classes = keras.Input((), dtype="int32", name="classes")
    sigmas = keras.Input((), name="sigmas")
    condition = _embedding(classes, sigmas, num_classes, embedding_units)
    sigma = ops.reshape(sigmas, (-1, 1, 1, 1))
    total = ops.square(sigma) + data_deviation**2
    shifted = noisy - _CENTRE
    x = _unet(shifted * ops.rsqrt(total), condition, filters, image_shape[-1])
    denoised = shifted * (data_deviation**2 / total)
    denoised += x * (sigma * data_deviation * ops.rsqrt(total))
    return keras.Model([noisy, classes, sigmas], denoised + _CENTRE, name=name)


def _embedding(classes, sigmas, num_classes, units):
    hot = ops.one_hot(classes, num_classes + 1)
    level = ops.expand_dims(ops.log(sigmas), axis=-1)
    x = keras.layers.Concatenate(name="condition")([hot, level])
    x = keras.layers.Dense(units, activation="silu", name="embedding1")(x)
    return keras.layers.Dense(units, activation="silu", name="embedding2")(x)


def _unet(x, condition, filters, channels):
    x = _conv(x, filters[0], "first")
    kept = []
    for level, count in enumerate(filters):
        if level:
            x = _conv(x, count, f"down{level}", stride=2)
        x = _block(x, condition, count, f"encoder{level}")
        kept.append(x)
    for level, count in reversed(list(enumerate(filters[:-1]))):
        x = keras.layers.UpSampling2D(2, name=f"up{level}")(x)
        x = keras.layers.Concatenate(name=f"skip{level}")([x, kept[level]])
        x = _block(x, condition, count, f"decoder{level}")
    x = keras.layers.Activation("silu", name="last_activation")(x)
    # Nothing at first: the untrained network returns the scaled input.
    return _conv(x, channels, "last", kernel_initializer="zeros")


def _block(x, condition, filters, name):
    """Two convolutions, conditioned on class and noise level by scale and shift."""
    shortcut = x
    if x.shape[-1] != filters:
        shortcut = keras.layers.Conv2D(filters, 1, name=f"{name}_shortcut")(x)
    x = keras.layers.Activation("silu", name=f"{name}_activation1")(x)
    x = _conv(x, filters, f"{name}_conv1")
    x = keras.layers.LayerNormalization(epsilon=1e-5, name=f"{name}_norm")(x)
    told = keras.layers.Dense(2 * filters, name=f"{name}_condition")(condition)
    scale, shift = ops.split(ops.reshape(told, (-1, 1, 1, 2 * filters)), 2, axis=-1)
    x = x * (1 + scale) + shift
    x = keras.layers.Activation("silu", name=f"{name}_activation2")(x)
    x = _conv(x, filters, f"{name}_conv2")
    return keras.layers.Add(name=f"{name}_add")([x, shortcut])


def _conv(x, filters, name, stride=1, kernel_initializer="he_normal"):
    return keras.layers.Conv2D(
        filters,
        3,
        strides=stride,
        padding="same",
        kernel_initializer=kernel_initializer,
        name=name,
    )(x)
