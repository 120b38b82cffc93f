"""All that Keras' layers call of ours in place of TensorFlow's, together."""

import contextlib
from collections.abc import Iterator

import keras

from igam_tf.derivatives import moments, pooling, resizing


@contextlib.contextmanager
def twice_differentiable(
    model: keras.Model | None = None, *, training: bool = True
) -> Iterator[None]:
    """Within it, normalisations, resizes and max pooling differentiate twice.

    Args:
        model, training: as in `moments.twice_differentiable`.

    Raises:
        ValueError: see `moments.check`.
    """
    with (
        moments.twice_differentiable(model, training=training),
        resizing.twice_differentiable(),
        pooling.twice_differentiable(),
    ):
        yield
