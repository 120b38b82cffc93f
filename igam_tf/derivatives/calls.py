"""Records what each layer of a network is called with, to call it again alone."""

import dataclasses
from collections.abc import Sequence

import keras
import tensorflow as tf

from igam_tf import compat


@dataclasses.dataclass
class Call:
    """A layer or operation, and what it was called with."""

    operation: keras.Operation
    arguments: list[object]
    structure: object

    def __post_init__(self):
        self.floats = [
            i
            for i, value in enumerate(self.arguments)
            if tf.is_tensor(value) and value.dtype.is_floating
        ]
        trained = getattr(self.operation, "trainable_variables", [])
        self.variables = [v for v in trained if tf.as_dtype(v.dtype).is_floating]

    def is_own(self) -> bool:
        """Whether it may compute what is no layer of Keras."""
        own = not type(self.operation).__module__.startswith("keras.")
        return own or isinstance(self.operation, (keras.layers.Lambda, keras.Model))

    def kind(self) -> int | str:
        """A key that equal layers of Keras share, so that they are checked once."""
        if self.is_own():
            return id(self.operation)
        config = {}
        if isinstance(self.operation, keras.Layer):
            config = {**self.operation.get_config(), "name": None}
        shapes = [getattr(value, "shape", value) for value in self.arguments]
        return f"{type(self.operation)} {config} {shapes}"

    def inputs(self) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """What its gradient depends on: float inputs, then weights."""
        values = [self.arguments[i] for i in self.floats]
        return values, [tf.convert_to_tensor(v.value) for v in self.variables]

    def outputs(
        self, values: Sequence[tf.Tensor], weights: Sequence[tf.Tensor]
    ) -> list[tf.Tensor]:
        """Float outputs for other inputs and weights; nothing else changes."""
        arguments = list(self.arguments)
        for place, value in zip(self.floats, values):
            arguments[place] = value
        args, kwargs = tf.nest.pack_sequence_as(self.structure, arguments)
        with keras.StatelessScope(state_mapping=list(zip(self.variables, weights))):
            found = tf.nest.flatten(self.operation(*args, **kwargs))
        return [y for y in found if tf.is_tensor(y) and y.dtype.is_floating]


def calls_of(model: keras.Model, images: tf.Tensor, training: bool) -> list[Call]:
    """All calls of layers and operations within a call of a model, inner ones first.

    Args:
        model: keras.Model from images to logits.
        images: float tensor (batch, height, width, channels).
        training: mode of the call. Nothing of the model changes.

    Returns:
        List of `Call`.
    """
    found = []

    def record(operation, args, kwargs):
        if not compat.is_container(operation):
            structure = (args, kwargs)
            found.append(Call(operation, tf.nest.flatten(structure), structure))

    with compat.recorded_calls(record), keras.StatelessScope():
        model(images, training=training)
    return found
