"""Takes the logits out of classifiers that end in something else."""

import keras
import numpy as np

from igam_tf import compat
from igam_tf.models.activations import function_name, is_linear
from igam_tf.models.copying import copy_network

# Images of random numbers on which a rebuilt network is compared with the given one.
_NUM_COMPARED = 4


def output_activation(model: keras.Model) -> str:
    """Name of the function that a network ends in: "softmax", "sigmoid", "linear"...

    Args:
        model: functional or Sequential keras.Model of one output.
    """
    operation, _ = _last(model)
    if _has_inside(operation):
        return output_activation(operation)
    return _function_name(operation)


def one_output(model: keras.Model, name: str | None = None) -> keras.Model:
    """A network of several outputs as a network of one of them.

    Args:
        model: functional or Sequential keras.Model of one input.
        name: key of the output where the model returns a dict, else the name of the
            layer that gives it. None: the only one.

    Returns:
        keras.Model that shares the layers of the given one; the given one itself if its
        only output is a tensor.

    Raises:
        ValueError: if there is no such output, or several to choose from.
    """
    named = _outputs_by_name(model)
    if name is None and len(named) == 1:
        (name,) = named
    if name not in named:
        raise ValueError(
            f"{_described(model)} has the outputs {', '.join(map(repr, named))}: "
            f"expected the name of one of them, received {name!r}."
        )
    # A Sequential model has one output, and no structure of it to ask for.
    is_sequential = isinstance(model, keras.Sequential)
    if is_sequential or isinstance(model.output, keras.KerasTensor):
        return model
    return keras.Model(model.inputs[0], named[name], name=model.name)


def _outputs_by_name(model):
    if not isinstance(model, keras.Sequential) and isinstance(model.output, dict):
        return dict(model.output)
    names = [
        compat.operation_of_output(model, index).name
        for index in range(len(model.outputs))
    ]
    # One layer may be called twice.
    return {
        name if names.count(name) == 1 else f"{name}:{index}": model.outputs[index]
        for index, name in enumerate(names)
    }


def without_softmax(model: keras.Model) -> keras.Model:
    """The classifier's logits: the network without the softmax that it ends in.

    Args:
        model: functional or Sequential keras.Model that ends in a softmax: the
            `activation` of its last layer, a layer of its own, or `keras.ops.softmax`.

    Returns:
        keras.Model from the same images to logits, with weights of its own; its softmax
        is what the given model returns (compared on random images).

    Raises:
        ValueError: if the model does not end in a softmax.
    """
    original, model = model, _copied(model)
    logits = _before(model, "softmax", f"{_described(model)} ends in")
    network = keras.Model(model.inputs[0], logits, name=model.name)
    _check_equal(
        original,
        lambda images: original(images, training=False),
        lambda images: keras.ops.softmax(network(images, training=False)),
    )
    return network


def two_logits(model: keras.Model) -> keras.Model:
    """The two logits, 0 and z, of a classifier that gives one logit or one sigmoid.

    The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)): class 1 is what the one
    output stood for.

    Args:
        model: functional or Sequential keras.Model of outputs (batch, 1): logits, or
            probabilities of class 1 by a sigmoid at the end.

    Returns:
        keras.Model from the same images to logits (batch, 2), with weights of its own;
        compared with the given one on random images.

    Raises:
        ValueError: if the model has another number of outputs, or ends in another
            function.
    """
    found = output_activation(model)
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[1] != 1 or found not in ("linear", "sigmoid"):
        raise ValueError(
            f"{_described(model)} returns {shape} by a {found} function: expected "
            "(batch, 1), one logit or the sigmoid of one."
        )
    single = _copied(model)
    if found == "sigmoid":
        logit = _before(single, "sigmoid", _described(model))
        single = keras.Model(single.inputs[0], logit)
    network = keras.Model(single.inputs[0], _doubled(single), name=model.name)

    def expected(images):
        outputs = model(images, training=False)
        return outputs if found == "sigmoid" else keras.ops.sigmoid(outputs)

    def found_now(images):
        return keras.ops.softmax(network(images, training=False))[:, 1:]

    _check_equal(model, expected, found_now)
    return network


def _copied(model):
    _check_one_output(model)
    return copy_network(model)


def _doubled(single):
    """Symbolic logits (0, z) from a model of one logit z."""
    dense, inputs = _last(single)
    if type(dense) is keras.layers.Dense:
        kernel, *bias = dense.get_weights()
        config = {**dense.get_config(), "units": 2, "name": f"two_{dense.name}"}
    else:
        kernel, bias, inputs = np.ones([1, 1], np.float32), [], single.outputs[0]
        config = {"units": 2, "use_bias": False, "name": "two_logits"}
    layer = keras.layers.Dense.from_config(config)
    logits = layer(inputs)
    layer.set_weights([np.concatenate([0 * w, w], axis=-1) for w in (kernel, *bias)])
    return logits


def _before(model, function, complaint):
    """The symbolic input of a function that a model ends in."""
    operation, inputs = _last(model)
    if _has_inside(operation):
        inner = _before(operation, function, complaint)
        return keras.Model(operation.inputs[0], inner, name=operation.name)(inputs)
    if _function_name(operation) != function:
        raise ValueError(
            f"{complaint} {type(operation).__name__} {operation.name!r} with the "
            f"function {_function_name(operation)}: expected a {function}, as the "
            "activation of the last layer or a layer of its own; of another network "
            "make keras.Model(model.input, the tensor of logits)."
        )
    # A layer of weights stays, with another activation.
    if not getattr(operation, "weights", None):
        return inputs
    config = {**operation.get_config(), "activation": "linear"}
    layer = type(operation).from_config(config)
    logits = layer(inputs)
    layer.set_weights(operation.get_weights())
    return logits


def _last(model):
    """The operation that gives a model's output, and its symbolic input."""
    _check_one_output(model)
    operation = compat.operation_of_output(model)
    inputs = compat.inputs_of_output(model)[0]
    if is_linear(operation):
        return _last(keras.Model(model.inputs[0], inputs))
    return operation, inputs


def _has_inside(operation):
    """Whether it is a network whose layers can be seen: not one of its own class."""
    return isinstance(operation, keras.Model) and bool(
        getattr(operation, "outputs", None)
    )


def _function_name(operation):
    """What an operation does to its outputs: softmax, another activation, nothing."""
    name = type(operation).__name__.lower()
    if name in ("softmax", "sigmoid"):
        return name
    function = getattr(operation, "activation", None)
    if function is None:
        return "linear"
    name = function_name(function)
    # A layer may stand for the function: `Dense(10, activation=Softmax())`.
    return name.lower() if isinstance(function, keras.Layer) else name


def _check_one_output(model):
    outputs = getattr(model, "outputs", None) or []
    inputs = getattr(model, "inputs", None) or []
    if len(outputs) != 1 or len(inputs) != 1:
        raise ValueError(
            f"{_described(model)} has {len(inputs)} symbolic inputs and {len(outputs)} "
            "outputs: expected a functional or Sequential keras.Model with one of each."
        )


def _check_equal(model, expected, found):
    # In inference mode: Keras' augmentation layers move images if nobody says.
    shape = [32 if size is None else size for size in model.inputs[0].shape[1:]]
    images = np.random.default_rng(0).random([_NUM_COMPARED, *shape], np.float32)
    half = model.outputs[0].dtype in ("float16", "bfloat16")
    a, b = (keras.ops.convert_to_numpy(f(images)) for f in (expected, found))
    error = np.abs(a.astype(np.float32) - b.astype(np.float32)).max()
    if not error < (2e-2 if half else 1e-5):
        raise ValueError(
            f"{_described(model)} and its network of logits differ by {error:.1e} in "
            "probability: expected equal ones; rebuild it by hand, ending in a Dense "
            "layer without activation."
        )


def _described(model):
    return f"model {getattr(model, 'name', type(model).__name__)!r}"
