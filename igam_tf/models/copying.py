"""Copies networks, and compares each copy with its original before it is used."""

import random
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from igam_tf import compat
from igam_tf.models.freezing import leaves

# Of the largest output. Copies of one precision run the same operations.
_TOLERANCE = 1e-3
# Of the outputs' norm, between precisions: far above rounding, and far below what a
# lost normalisation does to a network.
_ROUNDING = 0.5
_PROBES = 2
_ANY_SIZE = 32


def copy_network(
    network: keras.Model,
    *,
    replace: Callable[[keras.Operation], keras.Operation | None] | None = None,
) -> keras.Model:
    """A copy of a network, with weights of its own, that computes the same.

    Weights are not all that a layer knows: a `Normalization` layer works with a mean
    and a variance that it derives from them. So the copy is compared with the original
    on random images, and is refused where it computes something else.

    Args:
        network: functional or Sequential keras.Model.
        replace: function from a layer or operation of the network to the layer that
            stands in its place, or None to keep a copy of it; a layer with weights
            must take those of the one it replaces. An unchanged copy is compared then.

    Returns:
        keras.Model of the same class, names and structure of inputs; networks inside of
        it are copied too. What is trainable in it is what is in the original, down to
        single variables.

    Raises:
        ValueError: if the network is of a class of its own, or if a copy of it does
            not compute what it does.
    """
    check_can_be_copied(network)
    # A copy that is made for the comparison only leaves the next seed as it is.
    state = random.getstate()
    copy = _cloned(network, lambda operation: None)
    check_same(network, copy)
    if replace is None:
        return copy
    del copy
    random.setstate(state)
    return _cloned(network, replace)


def check_can_be_copied(network: keras.Model) -> None:
    """Raises ValueError unless the layers of a network can be taken apart."""
    if _can_be_taken_apart(network):
        return
    raise ValueError(
        f"{type(network).__name__} {network.name!r} is a model of its own class, whose "
        "layers cannot be taken apart; expected a functional or Sequential model."
    )


def _can_be_taken_apart(network):
    return hasattr(network, "operations") or isinstance(network, keras.Sequential)


def check_same(
    network: keras.Model, copy: keras.Model, *, between_precisions: bool = False
) -> None:
    """Compares the outputs of a copy with those of the original on random images.

    Args:
        network, copy: keras.Model of the same inputs and outputs.
        between_precisions: whether they compute in different types, so that only a
            difference far above rounding tells.

    Raises:
        ValueError: if the copy computes something else.
    """
    inputs = _probe(network)
    wanted, found = _outputs(network, inputs), _outputs(copy, inputs)
    difference = _difference(wanted, found, between_precisions)
    if difference <= (_ROUNDING if between_precisions else _TOLERANCE):
        return
    # A network that draws at random even outside of training equals no copy.
    if not np.array_equal(wanted, _outputs(network, inputs), equal_nan=True):
        return
    own = {type(layer).__name__ for layer in leaves(network)}
    own -= set(dir(keras.layers))
    about = f" Layers of classes that are not Keras': {sorted(own)}." if own else ""
    raise ValueError(
        f"a copy of {network.name!r} computes something else: outputs differ by "
        f"{difference:.2g} of their size. A layer keeps something that is neither in "
        f"its weights nor in its config.{about} Rebuild it from layers of Keras with "
        "all state in weights (of a Normalization layer: pass mean and variance), or "
        "give it get_config and load_own_variables that restore it."
    )


def _cloned(network, replace):
    made_of: dict[int, Any] = {}
    networks, layers = [], []

    def cloned(original):
        copy = keras.models.clone_model(original, clone_function=clone)
        networks.append((original, copy))
        return copy

    def clone(operation):
        # What stands at several places, in several networks, is one layer there, too.
        if id(operation) not in made_of:
            made_of[id(operation)] = made(operation)
        return made_of[id(operation)]

    def made(operation):
        if _can_be_taken_apart(operation):
            return cloned(operation)
        found = replace(operation)
        if found is None:
            if not isinstance(operation, keras.layers.Layer):
                return operation  # An operation of keras.ops has no state to copy.
            found = _from_config(operation)
        layers.append((operation, found))
        return found

    copy = cloned(network)
    for original, found in layers:
        if found.weights:
            found.set_weights(original.get_weights())
        derive_state(found)
    # From the outside in, because a network hands it on to its layers.
    for original, found in [*reversed(networks), *layers]:
        _copy_trainable(original, found)
    return copy


def _copy_trainable(original, copy):
    """What is trainable: the layer, those inside of it, and each of its variables."""
    if not isinstance(original, keras.layers.Layer):
        return
    if _can_be_taken_apart(original):
        copy.trainable = original.trainable
        return
    pairs = [(original, copy)]
    if type(original) is type(copy):
        inside = compat.flatten_layers(original), compat.flatten_layers(copy)
        pairs += zip(*inside, strict=False)
    for ours, theirs in pairs:
        theirs.trainable = ours.trainable
    for ours, theirs in zip(original.weights, copy.weights, strict=False):
        theirs.trainable = ours.trainable


def set_weights(network: keras.Model, weights: Sequence[np.ndarray]) -> None:
    """`network.set_weights`, and what layers derive from weights as well, in place.

    A `Normalization` layer would go on with the mean and variance that it had.

    Args:
        network: keras.Model.
        weights: what `get_weights` of the same network returns.
    """
    network.set_weights(weights)
    for layer in compat.flatten_layers(network):
        derive_state(layer)


def derives_state(network: keras.Model) -> bool:
    """Whether a layer computes with more than its weights.

    What was compiled of such a network keeps what the layer had derived then.
    """
    return any(hasattr(x, "finalize_state") for x in compat.flatten_layers(network))


def derive_state(layer: keras.Layer) -> None:
    """Lets a layer derive from its weights what it computes with, in place.

    Keras does so after loading a file, and not after `set_weights`.
    """
    if isinstance(layer, keras.layers.Wrapper):
        derive_state(layer.layer)
    if hasattr(layer, "finalize_state") and layer.built:
        layer.finalize_state()


def _from_config(layer):
    try:
        return type(layer).from_config(layer.get_config())
    # Whatever the class of a layer raises; Keras' own do not.
    except (TypeError, NotImplementedError, AttributeError, KeyError) as error:
        raise ValueError(
            f"layer {layer.name!r} of class {type(layer).__name__} cannot be copied "
            f"from its config ({type(error).__name__}: {error}); give the class a "
            "get_config with all arguments of its constructor."
        ) from error


def _probe(network):
    generator = np.random.default_rng(0)
    probes = []
    for tensor in network.inputs:
        shape = [_PROBES, *(_ANY_SIZE if s is None else s for s in tensor.shape[1:])]
        values = generator.random(shape)
        if "int" in tensor.dtype or tensor.dtype == "bool":
            values = np.zeros(shape)
        probes.append(values.astype(tensor.dtype))
    return probes


def _outputs(network, inputs):
    if isinstance(network, keras.Sequential):
        (given,) = inputs
    else:
        # As the network takes them: a tensor, a list or a dict.
        given = keras.tree.pack_sequence_as(network.input, inputs)
    with warnings.catch_warnings():
        # Keras warns where names of inputs are not the keys of their dict.
        warnings.simplefilter("ignore", UserWarning)
        outputs = keras.tree.flatten(network(given, training=False))
    return np.concatenate(
        [
            keras.ops.convert_to_numpy(keras.ops.cast(o, "float32")).ravel()
            for o in outputs
        ]
    )


def _difference(wanted, found, between_precisions):
    """The largest difference over the largest output, or that of the norms."""
    if wanted.shape != found.shape:
        return np.inf
    if between_precisions:
        # Half precision overflows where float32 does not.
        finite = np.isfinite(wanted)
        wanted, found = wanted[finite], found[finite]
        size, apart = np.linalg.norm(wanted), np.linalg.norm(found - wanted)
    else:
        if np.array_equal(wanted, found, equal_nan=True):
            return 0.0
        size, apart = np.abs(wanted).max(), np.abs(found - wanted).max()
    if not np.isfinite(apart):
        return np.inf
    return float(apart / size) if size else float(apart)
