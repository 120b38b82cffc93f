"""Zero padding at random offsets, by a layer that any Keras loads."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

import keras
import tensorflow as tf
from keras import ops

from igam_tf import compat, streams
from igam_tf.models.freezing import leaves

_PURPOSES = (streams.Purpose.PAD_ROWS, streams.Purpose.PAD_COLUMNS)
_scope = threading.local()


@contextlib.contextmanager
def random_offsets(seed: tf.Tensor) -> Iterator[None]:
    """Within it, `random_pad` draws offsets from `seed`; outside, it pads centrally.

    Training is random in this way and evaluation never is, whatever the mode of the
    batch normalisation.

    Args:
        seed: int32 tensor (2,) for `tf.random.stateless_uniform`.
    """
    outer = getattr(_scope, "seed", None)
    _scope.seed = seed
    try:
        yield
    finally:
        _scope.seed = outer


def randomize(network: keras.Layer) -> keras.Layer:
    """Lets the `random_pad` of a network draw offsets in training, in place.

    It is a `ZeroPadding2D` layer of that name, so that a saved network loads in any
    Keras and pads centrally there, as it does outside of training here. A loaded
    network, or a copy, draws again after this; the methods see to it for their
    teachers.

    Args:
        network: keras.Model or layer.

    Returns:
        The network.
    """
    for layer in leaves(network) if isinstance(network, keras.Model) else [network]:
        is_ours = (
            type(layer) is keras.layers.ZeroPadding2D and layer.name == "random_pad"
        )
        if is_ours:
            compat.wrap_call(layer, _pad_at_random)
    return network


def _pad_at_random(layer, pad_centrally, images):
    seed = getattr(_scope, "seed", None)
    if seed is None:
        return pad_centrally(images)
    sides = zip(images.shape[1:3], layer.padding, strict=True)
    return randomly_padded(images, [side + sum(free) for side, free in sides], seed)


def randomly_padded(
    images: tf.Tensor, size: Sequence[int], seed: tf.Tensor
) -> tf.Tensor:
    """Images at an offset drawn for each, in zeros of (height, width) `size`."""
    height, width = images.shape[1:3]
    free = (size[0] - height, size[1] - width)
    batch = tf.shape(images)[0]
    offsets = [
        tf.random.stateless_uniform(
            [batch], streams.seed_of(seed, purpose), 0, f + 1, dtype=tf.int32
        )
        for purpose, f in zip(_PURPOSES, free, strict=True)
    ]
    # One-hot rows and columns place the image; a matrix product is what XLA and the
    # outer gradient tape handle best.
    rows = _placement(offsets[0], height, size[0], images.dtype)
    columns = _placement(offsets[1], width, size[1], images.dtype)
    return tf.einsum("bhy,bhwc,bwx->byxc", rows, images, columns)


@keras.saving.register_keras_serializable("igam_tf")
class RandomPad(keras.layers.Layer):
    """Zero padding to `size` at an offset drawn for each image (Table 2).

    Networks made today have a `randomize`d `ZeroPadding2D` in its place; files of
    earlier releases hold this layer.

    Args:
        size: (height, width) after padding.
    """

    def __init__(self, size: Sequence[int], **kwargs):
        super().__init__(**kwargs)
        self.size = tuple(size)

    def call(self, images: tf.Tensor) -> tf.Tensor:
        seed = getattr(_scope, "seed", None)
        if seed is not None:
            return randomly_padded(images, self.size, seed)
        free = [t - s for s, t in zip(images.shape[1:3], self.size)]
        return ops.pad(images, _paddings(free, [f // 2 for f in free]))

    def compute_output_shape(
        self, input_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return (input_shape[0], *self.size, input_shape[-1])

    def get_config(self) -> dict[str, object]:
        return {**super().get_config(), "size": self.size}


def _paddings(free, before):
    spatial = [(b, f - b) for f, b in zip(free, before)]
    return ((0, 0), *spatial, (0, 0))


def _placement(offsets, size_in, size_out, dtype):
    positions = offsets[:, None] + tf.range(size_in)
    return tf.one_hot(positions, size_out, dtype=dtype)
