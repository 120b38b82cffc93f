"""Smooth activations in place of piecewise linear ones, for any Keras network."""

import keras

from igam_tf import compat
from igam_tf.models.activations import ACTIVATIONS, activation, function_name
from igam_tf.models.copying import check_can_be_copied, copy_network

# What stands between layers: by the name of a function, of a layer or of an operation.
_HIDDEN = frozenset(
    "relu relu6 leakyrelu prelu elu selu celu gelu silu swish softplus mish "
    "hardsilu hardswish".split()
)
_LAYERS = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.ELU,
    keras.layers.PReLU,
)


def swap_activations(model: keras.Model, name: str) -> keras.Model:
    """A copy of a network in which every hidden activation is another one.

    Swapped are layers (`ReLU`, `LeakyReLU`, `ELU`, `PReLU`, `Activation`), operations
    (`keras.ops.relu(x)`) and the `activation` argument of convolutions and dense
    layers, in networks inside of the network and in wrappers such as
    `SpectralNormalization` too. Swapped is what rectifies (relu,
    leaky_relu, elu, gelu, silu, softplus and their kin); softmax, sigmoid and tanh
    stay, and so does an `activation` argument of the layer that gives the logits.
    GradNorm needs it: with ReLU its penalty has no curvature to work on.

    It cannot see into layers of someone's own that hold an activation inside; and
    MobileNetV3's gates, which are made of ReLU6, would be swapped.

    Args:
        model: functional or Sequential keras.Model.
        name: one of `igam_tf.models.ACTIVATIONS`; "leaky_relu" has the slope 0.1.

    Returns:
        keras.Model of the same class and names, with copies of the weights. The given
        one is not changed.

    Raises:
        ValueError: if the name is unknown, the model is neither functional nor
            Sequential, it has no hidden activation, or a copy of it would compute
            something else (see `copy_network`).
    """
    if name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r}: expected one of {ACTIVATIONS}.")
    check_can_be_copied(model)
    last = _last_operation(model)
    swapped = []

    def replace(operation):
        replaced = _swapped(operation, name, is_last=operation is last)
        if replaced is not None:
            swapped.append(operation.name)
        return replaced

    copy = copy_network(model, replace=replace)
    if not swapped:
        raise ValueError(
            f"model {model.name!r} has no hidden activation to swap; expected layers "
            "such as ReLU, or activation='relu' of a convolution."
        )
    return copy


def _swapped(operation, name, *, is_last):
    """The layer in place of this operation, or None if it is to stay as it is."""
    if isinstance(operation, _LAYERS):
        return activation(name, operation.name)
    if not isinstance(operation, keras.layers.Layer):
        is_hidden = _key(compat.operation_name(operation)) in _HIDDEN
        return activation(name, operation.name) if is_hidden else None
    if isinstance(operation, keras.layers.Wrapper):
        return _wrapped(operation, _swapped(operation.layer, name, is_last=is_last))
    function = getattr(operation, "activation", None)
    if function is None or _key(function_name(function)) not in _HIDDEN:
        return None
    if isinstance(operation, keras.layers.Activation):
        return activation(name, operation.name)
    if is_last:
        return None
    config = operation.get_config()
    if "activation" not in config:
        return None
    copy = type(operation).from_config({**config, "activation": None})
    copy.activation = _as_argument(name)
    return copy


def _wrapped(wrapper, layer):
    """A copy of a wrapper around another layer; None around none."""
    if layer is None:
        return None
    config = {
        **wrapper.get_config(),
        "layer": keras.saving.serialize_keras_object(layer),
    }
    return type(wrapper).from_config(config)


def _as_argument(name):
    # A layer, since the function "leaky_relu" of Keras has another slope.
    if name == "leaky_relu":
        return activation(name, None)
    return keras.activations.get(name)


def _key(name):
    return name.lower().replace("_", "")


def _last_operation(model):
    """The layer, in whatever inner model, that gives the output."""
    if isinstance(model, keras.Sequential):
        last = model.layers[-1]
    else:
        last = compat.operation_of_output(model)
    return _last_operation(last) if isinstance(last, keras.Model) else last
