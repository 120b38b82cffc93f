"""Resizes of images as matrix products, differentiable as often as one likes.

TensorFlow declares the gradient of its bilinear resize not differentiable, and has
none for those of its nearest and bicubic ones: with such a resize inside of a student,
whatever trains on its input gradients trains nothing. A resize is linear, and each
axis has a small matrix of its own: x' = A_h x A_w^T.
"""

import contextlib
import functools
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from igam_tf.derivatives.replacement import Replacement

METHODS = (
    "bilinear",
    "nearest",
    "bicubic",
    "area",
    "lanczos3",
    "lanczos5",
    "gaussian",
    "mitchellcubic",
)


def resize(
    images: tf.Tensor | keras.KerasTensor,
    size: Sequence[int],
    *,
    method: str = "bilinear",
    antialias: bool = False,
) -> tf.Tensor | keras.KerasTensor:
    """`tf.image.resize` (half-pixel centres), differentiable as often as one likes.

    Equal to TensorFlow's within 1e-6, up and down; on a GPU that multiplies matrices in
    TF32, within the rounding of those. Of symbolic tensors of a functional model it
    makes plain operations of Keras, so that the saved model needs none of our code.

    Args:
        images: float tensor or KerasTensor (batch, height, width, channels) of known
            height and width.
        size: (height, width) of the result.
        method: one of `METHODS`.
        antialias: whether a smaller image averages over what it leaves out.

    Returns:
        Tensor (batch, *size, channels) of the type of `images`.

    Raises:
        ValueError: if the method is unknown or a side is.
    """
    if method not in METHODS:
        raise ValueError(f"resize by method={method!r}: expected one of {METHODS}.")
    height, width, channels = images.shape[1:]
    if None in (height, width, channels):
        raise ValueError(
            f"resize of images of shape {tuple(images.shape)}: expected a known "
            "height, width and number of channels; give keras.Input all three."
        )
    dtype = keras.backend.standardize_dtype(images.dtype)
    # Half precision is resized in float32, as TensorFlow does.
    x = ops.cast(images, "float32") if dtype in ("float16", "bfloat16") else images
    kind = keras.backend.standardize_dtype(x.dtype)
    rows = axis_matrix(height, size[0], method, antialias).astype(kind)
    columns = axis_matrix(width, size[1], method, antialias).astype(kind)
    x = ops.matmul(rows, ops.reshape(x, (-1, height, width * channels)))
    x = ops.matmul(columns, ops.reshape(x, (-1, size[0], width, channels)))
    return ops.cast(x, dtype) if dtype in ("float16", "bfloat16") else x


@functools.lru_cache
def axis_matrix(
    size_in: int, size_out: int, method: str = "bilinear", antialias: bool = False
) -> np.ndarray:
    """Matrix (size_out, size_in) of one axis, float32: TensorFlow's own weights.

    They are what TensorFlow makes of the images of which each has a single bright row.
    """
    basis = np.eye(size_in, dtype=np.float32)[:, :, None, None]
    # Two columns, as TensorFlow leaves images alone whose sizes stay the same.
    with tf.init_scope(), tf.device("CPU:0"):
        original = _resize.replacement.original
        found = original(basis, (size_out, 2), method, antialias=antialias)
        return found.numpy()[:, :, 0, 0].T


@keras.saving.register_keras_serializable("igam_tf")
class Resize(keras.layers.Layer):
    """`resize` as a layer, for students whose input gradients are trained on.

    `keras.layers.Resizing` and `UpSampling2D` do as well inside of this package, which
    computes them by the same matrices (`twice_differentiable`), and their files load in
    any Keras; this one also differentiates twice under tapes of your own.

    Args:
        size: (height, width) of the result.
        method, antialias: see `resize`.
        **kwargs: of `keras.layers.Layer`.
    """

    def __init__(
        self,
        size: Sequence[int],
        *,
        method: str = "bilinear",
        antialias: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.size = tuple(size)
        self.method = method
        self.antialias = antialias

    def call(self, images: tf.Tensor) -> tf.Tensor:
        return resize(images, self.size, method=self.method, antialias=self.antialias)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, object]:
        own = {"size": self.size, "method": self.method, "antialias": self.antialias}
        return {**super().get_config(), **own}


@contextlib.contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it, `tf.image.resize`, and so every resize of Keras, is `resize`.

    Values and first derivatives are those of TensorFlow, so that another thread
    that meets the replacement loses nothing; see `moments.twice_differentiable`.
    """
    with _resize.replacement.in_force():
        yield


@Replacement.of(tf.image, "resize", "tf.image.resize")
def _resize(
    images,
    size,
    method="bilinear",
    preserve_aspect_ratio=False,
    antialias=False,
    name=None,
):
    """`tf.image.resize` by matrices; what they cannot do is left to TensorFlow."""
    if not _is_simple(images, size, method) or preserve_aspect_ratio:
        return _resize.replacement.original(
            images, size, method, preserve_aspect_ratio, antialias, name
        )
    size = [int(side) for side in np.asarray(size)]
    with tf.name_scope(name or "resize"):
        # As TensorFlow does; half precision is not rounded to on the way.
        images = images if method == "nearest" else tf.cast(images, tf.float32)
        if None not in images.shape[1:]:
            return resize(images, size, method=method, antialias=antialias)
        return _resize_any(images, size, method, antialias)


def _resize_any(images, size, method, antialias):
    """`resize` of images whose sides are known when they come, as in a graph of
    `keras.layers.Resizing(pad_to_aspect_ratio=True)`."""

    def matrix(axis):
        basis = tf.eye(tf.shape(images)[axis])[:, :, None, None]
        original = _resize.replacement.original
        found = original(basis, (size[axis - 1], 2), method, antialias=antialias)
        return tf.cast(found[:, :, 0, 0], images.dtype)

    return tf.einsum("bhwc,hy,wx->byxc", images, matrix(1), matrix(2))


def _is_simple(images, size, method):
    """Whether these are float images, and the sizes of the result are known."""
    if method not in METHODS or not tf.is_tensor(images):
        return False
    if not images.dtype.is_floating or images.shape.rank != 4:
        return False
    if any(map(tf.is_tensor, tf.nest.flatten(size))):
        return False
    return np.shape(size) == (2,) and None not in list(size)
