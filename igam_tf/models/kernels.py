"""Starts a network from given kernels, such as those of a checkpoint."""

from collections.abc import Mapping

import keras
import numpy as np
from keras import ops


def call_with_kernel(
    layer: keras.Layer,
    inputs: keras.KerasTensor,
    kernels: Mapping[str, np.ndarray] | None,
) -> keras.KerasTensor:
    """Calls a new layer, with its kernel given rather than drawn.

    Drawing the 45.9 million normal numbers of a Wide-ResNet 32-10 takes eight times as
    long as reading them from its checkpoint. The layer's config keeps its initializer,
    so that clones of the network are drawn as usual.

    Args:
        layer: keras.layers.Conv2D or Dense that has not been called yet.
        inputs: its input.
        kernels: dict of layer name -> array; layers that it lacks draw theirs, as all
            do if it is None.

    Returns:
        The layer's output.

    Raises:
        ValueError: if the kernel has another shape than the layer's.
    """
    kernel = None if kernels is None else kernels.get(layer.name)
    if kernel is None:
        return layer(inputs)

    def given(shape, dtype=None):
        if tuple(shape) != tuple(kernel.shape):
            raise ValueError(
                f"kernels[{layer.name!r}] has shape {tuple(kernel.shape)}; expected "
                f"{tuple(shape)}."
            )
        return ops.convert_to_tensor(kernel, dtype=dtype)

    drawn = layer.kernel_initializer
    layer.kernel_initializer = given
    outputs = layer(inputs)
    layer.kernel_initializer = drawn
    return outputs
