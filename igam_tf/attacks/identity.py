"""What tells one model from another, when a file asks whose result it holds."""

import hashlib
import re

import keras
import numpy as np

from igam_tf import compat

# Numbers that Keras gives to layers as they are made, and addresses of objects.
_NUMBERED = re.compile(r'_\d+(?=")|"shared_object_id": \d+')


def model_digest(model: keras.Model) -> str:
    """A short text that differs for models that differ in layers or weights.

    Args:
        model: keras.Model or layer, of whatever layers. Those that cannot say how they
            are configured count by their class alone.

    Returns:
        Text of 32 hexadecimal digits, the same in another process. The state of random
        layers and the automatic numbers of layers do not change it.
    """
    try:
        layers = model.to_json()
    except (AttributeError, NotImplementedError, TypeError, ValueError):
        layers = " ".join(
            type(layer).__name__ for layer in compat.flatten_layers(model)
        )
    digest = hashlib.sha256(_NUMBERED.sub("", layers).encode())
    for weights in model.get_weights():
        digest.update(f"{weights.dtype} {weights.shape}".encode())
        digest.update(np.ascontiguousarray(weights).data)
    return digest.hexdigest()[:32]
