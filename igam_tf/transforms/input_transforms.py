"""Input transforms: a target image becomes an input of the teacher (Eq. 15).

Each transform is affine, x' = A x + b, and made of keras layers, so that the teacher's
input gradient flows back through it to the target image (Eq. 17). Names compose with
"+", in the order of application: "mean_channels+center_crop".
"""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from igam_tf.models.data_format import channels_last
from igam_tf.transforms.padding import randomize

TRANSFORMS = (
    "auto",
    "none",
    "resize",
    "legacy_resize",
    "smooth_resize",
    "average_pool",
    "center_crop",
    "center_pad",
    "random_pad",
    "transpose_conv",
    "mean_channels",
    "repeat_channels",
)


@channels_last()
def input_transform(
    name: str, image_shape: tuple[int, int, int], teacher_shape: tuple[int, int, int]
) -> keras.Model:
    """Model from target images to inputs of the teacher.

    Args:
        name: transforms of `TRANSFORMS` joined by "+", in order. "auto" chooses what
            the sizes ask for: channels are averaged or repeated; larger images are
            average-pooled where the sizes divide, cropped where that keeps half of
            the pixels, and made smaller by "smooth_resize" (means of whole pixels,
            then bilinear) where not; smaller ones are resized. Channels that still
            differ at the end are averaged or repeated as well. "random_pad" is random
            in training only: in evaluations, and in saved files, it pads centrally.
        image_shape: (height, width, channels) of the target images.
        teacher_shape: (height, width, channels) of the teacher's input.

    Returns:
        keras.Model from images (batch, *image_shape) to (batch, *teacher_shape).

    Raises:
        ValueError: if a name is unknown or the sizes cannot be matched.
    """
    images = keras.Input(image_shape, name="target_images")
    x = images
    for part in _parts(name, image_shape, teacher_shape):
        x = _apply(part, x, teacher_shape)
    x = _match_channels(x, teacher_shape[-1])
    if tuple(x.shape[1:]) != tuple(teacher_shape):
        raise ValueError(
            f"input transform {name!r} maps images of shape {tuple(image_shape)} to "
            f"{tuple(x.shape[1:])}, but the teacher takes {tuple(teacher_shape)}; "
            "choose another --input_transform ('auto' chooses one by the sizes)."
        )
    return keras.Model(images, x, name="input_transform")


def chosen(
    name: str, image_shape: tuple[int, int, int], teacher_shape: tuple[int, int, int]
) -> str:
    """Names of what `input_transform` does, joined by "+"; "none" for nothing."""
    return "+".join(_parts(name, image_shape, teacher_shape)) or "none"


def gradient_window(
    name: str, image_shape: tuple[int, int, int], teacher_shape: tuple[int, int, int]
) -> tuple[int, int] | None:
    """What the discriminator may see of an input gradient (section 4.3.2).

    Args:
        name, image_shape, teacher_shape: as in `input_transform`.

    Returns:
        (height, width) of the central window that a cropping transform keeps: outside
        of it the teacher's gradient is zero. None where nothing is cropped.
    """
    if "center_crop" not in _parts(name, image_shape, teacher_shape):
        return None
    height, width = (min(i, t) for i, t in zip(image_shape[:2], teacher_shape[:2]))
    return height, width


@keras.saving.register_keras_serializable("igam_tf")
class LegacyResize(keras.layers.Layer):
    """TensorFlow 1's bilinear resize, without half-pixel centres (the authors').

    Networks made today hold its operations; files of earlier releases hold this layer.

    Args:
        size: (height, width) of the output.
    """

    def __init__(self, size: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.size = tuple(size)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        rows = legacy_bilinear_matrix(images.shape[1], self.size[0])
        columns = legacy_bilinear_matrix(images.shape[2], self.size[1])
        kind = keras.backend.standardize_dtype(images.dtype)
        rows, columns = ops.cast(rows, kind), ops.cast(columns, kind)
        return ops.einsum("yh,bhwc,xw->byxc", rows, images, columns)

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "size": self.size}


def legacy_bilinear_matrix(size_in: int, size_out: int) -> np.ndarray:
    """Matrix (size_out, size_in) of one axis of `LegacyResize`, float64."""
    position = np.arange(size_out) * (size_in / size_out)
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, size_in - 1)
    matrix = np.zeros((size_out, size_in))
    np.add.at(matrix, (np.arange(size_out), low), 1 - (position - low))
    np.add.at(matrix, (np.arange(size_out), high), position - low)
    return matrix


def _parts(name, image_shape, teacher_shape):
    parts = name.split("+")
    unknown = [part for part in parts if part not in TRANSFORMS]
    if unknown:
        raise ValueError(
            f"input transform {name!r}: {unknown[0]!r} is unknown; expected names of "
            f"{TRANSFORMS} joined by '+'."
        )
    if parts == ["auto"]:
        return _automatic_parts(image_shape, teacher_shape)
    return [part for part in parts if part != "none"]


def _automatic_parts(image_shape, teacher_shape):
    parts = []
    if image_shape[-1] > teacher_shape[-1] == 1:
        parts.append("mean_channels")
    image, teacher = image_shape[:2], teacher_shape[:2]
    if tuple(image) == tuple(teacher):
        return parts
    if all(i <= t for i, t in zip(image, teacher)):
        return [*parts, "resize"]
    if all(i % t == 0 for i, t in zip(image, teacher)):
        return [*parts, "average_pool"]
    kept = np.prod(np.minimum(image, teacher)) / np.prod(image)
    if all(i >= t for i, t in zip(image, teacher)) and kept >= 0.5:
        return [*parts, "center_crop"]
    return [*parts, "smooth_resize"]


def _apply(part, x, teacher_shape):
    """One transform by name; sizes that do not suit it raise ValueError."""
    size, target = tuple(x.shape[1:3]), tuple(teacher_shape[:2])
    larger = all(s >= t for s, t in zip(size, target))
    smaller = all(s <= t for s, t in zip(size, target))
    if part == "resize":
        return keras.layers.Resizing(*target, interpolation="bilinear", name=part)(x)
    if part == "legacy_resize":
        # The operations of the layer, which any Keras knows.
        return LegacyResize(target).call(x)
    if part == "smooth_resize":
        # Bilinear alone reads two of the rows between which it interpolates.
        pool = tuple(max(s // t, 1) for s, t in zip(size, target))
        x = keras.layers.AveragePooling2D(pool, name=f"{part}_pool")(x)
        return keras.layers.Resizing(*target, interpolation="bilinear", name=part)(x)
    if part == "average_pool":
        _require(larger and not (size[0] % target[0] or size[1] % target[1]), part, x)
        pool = (size[0] // target[0], size[1] // target[1])
        return keras.layers.AveragePooling2D(pool, name=part)(x)
    if part == "center_crop":
        _require(larger, part, x)
        excess = [s - t for s, t in zip(size, target)]
        borders = [(e // 2, e - e // 2) for e in excess]
        return keras.layers.Cropping2D(borders, name=part)(x)
    if part == "center_pad":
        _require(smaller, part, x)
        return _central_padding(size, target, part)(x)
    if part == "random_pad":
        _require(smaller, part, x)
        return randomize(_central_padding(size, target, part))(x)
    if part == "transpose_conv":
        # Trained together with the teacher's new logit layer (section 5.1.2).
        return keras.layers.Conv2DTranspose(
            teacher_shape[-1], 3, strides=2, padding="same", name=part
        )(x)
    return _match_channels(x, 1 if part == "mean_channels" else teacher_shape[-1])


def _central_padding(size, target, name):
    free = [t - s for s, t in zip(size, target)]
    return keras.layers.ZeroPadding2D([(f // 2, f - f // 2) for f in free], name=name)


def _match_channels(x, channels):
    if x.shape[-1] == channels:
        return x
    mean = x if x.shape[-1] == 1 else ops.mean(x, axis=-1, keepdims=True)
    return mean if channels == 1 else ops.repeat(mean, channels, axis=-1)


def _require(fits, part, x):
    if not fits:
        raise ValueError(
            f"input transform {part!r} does not suit images of {tuple(x.shape[1:3])} "
            "pixels for this teacher; 'auto' chooses one by the sizes."
        )
