"""A Keras model as matrices with ReLUs between them, where it is such a one."""

import dataclasses
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from igam_tf import compat, models

# Numbers in one matrix: 400 MB. A convolution is written out as a matrix.
_LARGEST = 50_000_000
# How much the logits of matrices and model may differ, as a share of the largest one.
_SAME = 1e-3
_SUPPORTED = (
    "Dense, Conv2D, BatchNormalization, AveragePooling2D, GlobalAveragePooling2D, "
    "ZeroPadding2D, Flatten, Reshape, Rescaling, Dropout and ReLU, one after the other"
)
_WAY_OUT = (
    f"a bound is proved for {_SUPPORTED}; evaluate this model without a verified bound "
    "(--verified, verified=), by attacks alone."
)
# From a float64 tensor (batch, ...) to one.
_Map = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class PiecewiseLinear:
    """logits = W_K relu(... relu(W_1 x + b_1) ...) + b_K, of images as rows of numbers.

    Attributes:
        layers: tuple of (matrix (outputs, inputs), vector (outputs,)), float64.
    """

    layers: tuple[tuple[np.ndarray, np.ndarray], ...]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits (n, classes) of images (n, ...), in float64."""
        found = np.reshape(images, (len(images), -1)).astype(np.float64)
        for number, (matrix, offset) in enumerate(self.layers):
            found = (np.maximum(found, 0) if number else found) @ matrix.T + offset
        return found


def read_network(model: keras.Model) -> PiecewiseLinear:
    """The matrices of a model in inference mode.

    Args:
        model: functional or Sequential Keras model in float32, from images (batch,
            height, width, channels) to logits.

    Returns:
        `PiecewiseLinear`; products are computed in float64.

    Raises:
        ValueError: if the model has another layer, an operation or branches, computes
            in half precision, or is too large.
    """
    layers = list(_chain(model))
    _check_precision(model)
    shape = tuple(model.input_shape[1:])
    if None in shape:
        raise ValueError(
            f"{model.name} takes images of any size ({shape}): expected one size; "
            f"{_WAY_OUT}"
        )
    parts: list[list[_Map]] = [[]]
    for layer in layers:
        for part in _maps(layer):
            if part is None:
                parts.append([])
            else:
                parts[-1].append(part)
    found = []
    for maps in parts:
        matrix, offset, shape = _matrix(maps, shape, model.name)
        found.append((matrix, offset))
    network = PiecewiseLinear(tuple(found))
    _check_same(network, model)
    return network


def _chain(model: keras.Model) -> Iterator[keras.Operation]:
    """What a model calls, one after the other, and the models inside of it."""
    for operation in _calls(model):
        if isinstance(operation, keras.Model):
            yield from _chain(operation)
        elif not isinstance(operation, keras.layers.InputLayer):
            yield operation


def _calls(model: keras.Model) -> list[keras.Operation]:
    """The layers and operations of a model as it calls them, each as often.

    `Model.layers` has a layer once that is called twice, and no operations of
    `keras.ops`: a bound without them is none, and may look like one, because they may
    leave the few images of `_check_same` alone.
    """
    if isinstance(model, keras.Sequential):
        return model.layers
    if not hasattr(model, "operations"):
        raise ValueError(
            f"{model.name} is a model of its own class, {type(model).__name__}, whose "
            f"layers cannot be followed: expected a functional or Sequential model; "
            f"{_WAY_OUT}"
        )
    found: list[keras.Operation] = []
    tensors = model.outputs
    while len(tensors) == 1 and not any(tensors[0] is x for x in model.inputs):
        operation, tensors = compat.call_before(tensors[0])
        found.append(operation)
    if len(tensors) != 1 or len(model.inputs) != 1:
        raise ValueError(f"{model.name} has branches: {_WAY_OUT}")
    return found[::-1]


def _check_precision(model: keras.Model) -> None:
    """Raises ValueError if a model rounds more than the bounds allow for."""
    dtype = models.compute_dtype(model)
    if dtype in ("float16", "bfloat16"):
        raise ValueError(
            f"{model.name} computes in {dtype}, which rounds by more than the bounds "
            "allow for: expected float32, as igam_tf.models.in_float32(model) makes "
            f"it; {_WAY_OUT}"
        )


def _check_same(network: PiecewiseLinear, model: keras.Model) -> None:
    """Raises ValueError unless both have the same logits: there may be branches."""
    shape = (4, *model.input_shape[1:])
    images = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    expected = np.asarray(model(images, training=False))
    found = network(images)
    size = max(1.0, np.abs(expected).max())
    if found.shape != expected.shape or np.abs(found - expected).max() > _SAME * size:
        raise ValueError(
            f"{model.name} is not what its layers in a row would be: {_WAY_OUT}"
        )


def _maps(layer: keras.Layer) -> list[_Map | None]:
    """What a layer does, in float64; None stands for a ReLU."""
    kind = type(layer)
    if kind is keras.layers.ReLU:
        plain = layer.max_value is None and not layer.threshold
        if plain and not layer.negative_slope:
            return [None]
    if kind is keras.layers.Activation:
        return _activation(layer, layer.activation)
    if kind in (keras.layers.Dense, keras.layers.Conv2D):
        return [_weighted(layer), *_activation(layer, layer.activation)]
    found = _MAPS.get(kind)
    if found is None:
        what = "a layer" if isinstance(layer, keras.Layer) else "an operation"
        raise ValueError(f"{layer.name} is {what} {kind.__name__}: {_WAY_OUT}")
    return found(layer)


def _activation(layer, activation):
    if activation is keras.activations.relu:
        return [None]
    if activation is keras.activations.linear:
        return []
    name = getattr(activation, "__name__", activation)
    raise ValueError(f"{layer.name} has the activation {name}: {_WAY_OUT}")


def _weighted(layer):
    kernel = tf.constant(np.asarray(layer.kernel, np.float64))
    bias = np.asarray(layer.bias, np.float64) if layer.use_bias else 0.0
    if isinstance(layer, keras.layers.Dense):
        return lambda x: tf.tensordot(x, kernel, 1) + bias
    if layer.data_format != "channels_last" or layer.groups != 1:
        raise ValueError(
            f"{layer.name} has groups, or channels first: expected a plain Conv2D; "
            f"{_WAY_OUT}"
        )
    return lambda x: (
        tf.nn.conv2d(
            x,
            kernel,
            list(layer.strides),
            layer.padding.upper(),
            dilations=list(layer.dilation_rate),
        )
        + bias
    )


def _batch_norm(layer):
    if layer.axis not in (-1, 3):
        raise ValueError(f"{layer.name} normalises axis {layer.axis}: {_WAY_OUT}")
    mean = np.asarray(layer.moving_mean, np.float64)
    deviation = np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    scale = np.asarray(layer.gamma, np.float64) if layer.scale else 1.0
    shift = np.asarray(layer.beta, np.float64) if layer.center else 0.0
    return [lambda x: (x - mean) * (scale / deviation) + shift]


def _pooling(layer):
    size, strides = list(layer.pool_size), list(layer.strides)
    return [lambda x: tf.nn.avg_pool2d(x, size, strides, layer.padding.upper())]


def _zero_padding(layer):
    return [lambda x: tf.pad(x, [(0, 0), *layer.padding, (0, 0)])]


def _rescaling(layer):
    scale, offset = np.float64(layer.scale), np.float64(layer.offset)
    return [lambda x: x * scale + offset]


_MAPS: dict[type, Callable[[keras.Layer], list]] = {
    keras.layers.BatchNormalization: _batch_norm,
    keras.layers.AveragePooling2D: _pooling,
    keras.layers.GlobalAveragePooling2D: lambda layer: [
        lambda x: tf.reduce_mean(x, axis=(1, 2), keepdims=bool(layer.keepdims))
    ],
    keras.layers.ZeroPadding2D: _zero_padding,
    keras.layers.Flatten: lambda layer: [lambda x: tf.reshape(x, (len(x), -1))],
    keras.layers.Reshape: lambda layer: [
        lambda x: tf.reshape(x, (len(x), *layer.target_shape))
    ],
    keras.layers.Rescaling: _rescaling,
    keras.layers.Dropout: lambda layer: [],
}


def _matrix(maps, shape, name):
    """Matrix, vector and shape of the outputs of maps, one after the other."""

    def apply(x):
        for one in maps:
            x = one(x)
        return x

    inputs = int(np.prod(shape))
    at_zero = apply(tf.zeros((1, *shape), tf.float64)).numpy()
    offset = at_zero.reshape(-1)
    if inputs * len(offset) > _LARGEST:
        raise ValueError(
            f"{name} has a layer of {inputs:,} numbers to {len(offset):,}: expected at "
            f"most {_LARGEST:,} products; {_WAY_OUT}"
        )
    columns = []
    for start in range(0, inputs, 256):
        units = np.eye(min(256, inputs - start), inputs, start)
        values = apply(tf.constant(units.reshape(-1, *shape))).numpy()
        columns.append(values.reshape(len(units), -1) - offset)
    return np.concatenate(columns).T.copy(), offset, at_zero.shape[1:]
