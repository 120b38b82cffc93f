"""Random changes of training images, all of them functions of a key."""

import dataclasses
import functools
import math
from collections.abc import Callable

import tensorflow as tf

from igam_tf import streams
from igam_tf.data.registry import Augmentation
from igam_tf.data.streamed import StreamedImages
from igam_tf.pixels import as_float

# Spelled out: "auto" may choose another generator on another device.
GENERATOR = "philox"
# Shapes of a resized crop, width over height, and draws of one until it fits.
_SHAPES = (3 / 4, 4 / 3)
_DRAWS = 10


def augmented(
    images: tf.Tensor, key: tf.Tensor, augmentation: Augmentation
) -> tf.Tensor:
    """Crops, mirrors and adds noise as an `Augmentation` specifies.

    Args:
        images: uint8 or float32 tensor (batch, height, width, channels).
        key: int64 tensor [2]; the only source of randomness.
        augmentation: `Augmentation`.

    Returns:
        float32 tensor like `images`, in [0, 1].

    Raises:
        ValueError: if resized crops are asked for, which need the files.
    """
    if augmentation.resized_crop:
        raise ValueError(
            f"resized_crop={augmentation.resized_crop:g}: random parts are cut out of "
            "files as they are, and these images are in memory at their final size; "
            "stream them (stream=True), or leave it at 0."
        )
    keys = tf.random.split(key, 3, alg=GENERATOR)
    count, pad = tf.shape(images)[0], augmentation.pad
    if pad or augmentation.flip:
        offsets = tf.random.stateless_uniform(
            [count, 2], keys[0], 0, 2 * pad + 1, tf.int32, alg=GENERATOR
        )
        draws = tf.random.stateless_uniform([count], keys[1], alg=GENERATOR)
        flips = tf.logical_and(draws < 0.5, augmentation.flip)
        images = crop_and_flip(images, offsets, flips, pad)
    images = as_float(images)
    if augmentation.noise:
        noise = tf.random.stateless_uniform(
            tf.shape(images),
            keys[2],
            -augmentation.noise,
            augmentation.noise,
            alg=GENERATOR,
        )
        images = tf.clip_by_value(images + noise, 0.0, 1.0)
    return images


def crop_and_flip(
    images: tf.Tensor, offsets: tf.Tensor, flips: tf.Tensor, pad: int
) -> tf.Tensor:
    """Crops each zero-padded image at its own offset, then mirrors some.

    Args:
        images: [b, height, width, channels], any type.
        offsets: int32 [b, 2], rows and columns of the crop in the padded image, in
            0..2 * pad.
        flips: bool [b], which crops to mirror left to right.
        pad: pixels of zeros on each side.

    Returns:
        Tensor like `images`.
    """
    _, height, width, channels = images.shape
    padded = tf.pad(images, [[0, 0], [pad, pad], [pad, pad], [0, 0]])
    high, wide = height + 2 * pad, width + 2 * pad
    rows = offsets[:, 0, None] + tf.range(height)
    columns = tf.range(width)
    columns = tf.where(flips[:, None], columns[::-1], columns) + offsets[:, 1, None]
    # One gather of pixels for crop and flip of the whole batch: no map over images.
    rows += tf.range(tf.shape(images)[0])[:, None] * high
    pixels = rows[:, :, None] * wide + columns[:, None, :]
    return tf.gather(tf.reshape(padded, [-1, channels]), pixels)


def streamed(
    images: StreamedImages,
    places: tf.Tensor,
    key: tf.Tensor,
    augmentation: Augmentation,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the images of a batch, cropped and changed as an `Augmentation` says.

    Args:
        images: `StreamedImages`.
        places: int32 tensor (batch,), which of them.
        key: int64 tensor [2]; the only source of randomness.
        augmentation: `Augmentation`.

    Returns:
        Tuple (float32 tensor (batch, height, width, channels) in [0, 1], int32 labels).
    """
    boxes_of = None
    if augmentation.resized_crop:
        boxes_of = functools.partial(
            resized_crops,
            seed=streams.seed_of(key, streams.Purpose.RESIZED_CROP),
            least_area=augmentation.resized_crop,
        )
    pixels, labels = decoded(images, places, boxes_of)
    rest = dataclasses.replace(augmentation, resized_crop=0.0)
    return augmented(pixels, key, rest), labels


def decoded(
    images: StreamedImages, places: tf.Tensor, boxes_of: Callable | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the images of a batch.

    Args:
        images: `StreamedImages`.
        places: int32 tensor (batch,), which of them.
        boxes_of: function of sizes to boxes as of `resized_crops`; None: the centre.

    Returns:
        Tuple (uint8 tensor (batch, height, width, channels), int32 labels).
    """
    contents, sizes, labels = tf.numpy_function(
        images.fetch, [places], (tf.string, tf.int32, tf.int32)
    )
    sizes, labels = tf.ensure_shape(sizes, [None, 2]), tf.ensure_shape(labels, [None])
    if boxes_of is None:
        boxes = tf.zeros([tf.shape(sizes)[0], 4], tf.int32)
    else:
        boxes = boxes_of(sizes)
    pixels = tf.numpy_function(images.decode, [places, contents, boxes], tf.uint8)
    return tf.ensure_shape(pixels, [None, *images.image_shape]), labels


def resized_crops(sizes: tf.Tensor, seed: tf.Tensor, least_area: float) -> tf.Tensor:
    """Draws the part of each image that becomes a training image.

    Its area is uniform in [least_area, 1] of the image's, the logarithm of its shape
    uniform between 3:4 and 4:3, its place uniform. The first of ten draws that fits
    into the image is taken; if none does, which very long images come to, the centre.

    Args:
        sizes: int32 tensor (batch, 2), heights and widths.
        seed: integer tensor [2].
        least_area: in (0, 1].

    Returns:
        int32 tensor (batch, 4): top, left, height, width; height 0 for the centre.

    Source: Szegedy et al. 2015 (arXiv:1409.4842), section 6; the ten draws are
    torchvision's `RandomResizedCrop`.
    """
    count = tf.shape(sizes)[0]
    area, shape, rows, columns = tf.unstack(
        tf.random.stateless_uniform([4, count, _DRAWS], seed, alg=GENERATOR)
    )
    height, width = (tf.cast(sizes[:, axis, None], tf.float32) for axis in (0, 1))
    area = (least_area + (1 - least_area) * area) * height * width
    low, high = (math.log(end) for end in _SHAPES)
    shape = tf.exp(low + (high - low) * shape)
    high_part, wide_part = (
        tf.round(tf.sqrt(area / shape)),
        tf.round(tf.sqrt(area * shape)),
    )
    fits = (high_part <= height) & (wide_part <= width)
    # At least a pixel, of images that have few.
    high_part, wide_part = tf.maximum(high_part, 1.0), tf.maximum(wide_part, 1.0)
    boxes = [
        tf.minimum(tf.floor(rows * (height - high_part + 1)), height - high_part),
        tf.minimum(tf.floor(columns * (width - wide_part + 1)), width - wide_part),
        high_part,
        wide_part,
    ]
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1, output_type=tf.int32)
    boxes = tf.gather(tf.stack(boxes, axis=-1), first, axis=1, batch_dims=1)
    boxes = tf.where(tf.reduce_any(fits, axis=1, keepdims=True), boxes, 0.0)
    return tf.cast(boxes, tf.int32)
