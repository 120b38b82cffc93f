"""What a network is made of, by which one of a function of one's own is recognised."""

import hashlib
import json
from typing import Any

import keras

from igam_tf import compat

# Keras' addresses of objects, seeds, and the compiled lines of a Lambda layer, which
# differ from one version of Python to the next.
_CHANGING = frozenset({"shared_object_id", "seed", "code", "compile_config"})


def digest(network: keras.Model) -> str:
    """SHA-256 of a network's layers, their settings and their connections.

    Names do not count: Keras numbers them through. Neither do weights, nor what the
    lines of a layer of one's own compute.

    Args:
        network: keras.Model.

    Returns:
        Hexadecimal text.
    """
    weights = [[list(v.shape), v.dtype, v.trainable] for v in network.weights]
    try:
        layers = _plain(json.loads(network.to_json()), _numbers(network))
    # A class of one's own that says nothing of what it is made of.
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        layers = None
    text = json.dumps([weights, layers], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _numbers(network):
    """Name of a layer -> a number, in the order of the layers."""
    layers = compat.flatten_layers(network)
    return {layer.name: number for number, layer in enumerate(layers)}


def _plain(value: Any, numbers: dict[str, int]) -> Any:
    """JSON without what changes, with numbers in the places of layers' names."""
    if isinstance(value, dict):
        return {
            key: numbers.get(inner, inner)
            if key == "name" and isinstance(inner, str)
            else _plain(inner, numbers)
            for key, inner in value.items()
            if key not in _CHANGING
        }
    if isinstance(value, list):
        return [
            numbers.get(inner, inner)
            if isinstance(inner, str)
            else _plain(inner, numbers)
            for inner in value
        ]
    return value
