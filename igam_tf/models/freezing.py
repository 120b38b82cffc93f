"""Freezes a network, with a choice of what its batch normalisation does."""

from collections.abc import Iterator

import keras

MODES = ("inference", "batch")


def freeze(network: keras.Model, *, batch_norm: str = "inference") -> keras.Model:
    """Makes every weight of a network untrainable, in place.

    Args:
        network: keras.Model.
        batch_norm: "inference": moving statistics, whatever the call says; "batch":
            statistics of the batch in training mode, which also moves the moving
            statistics (the teacher in the authors' code).

    Returns:
        The network.

    Raises:
        ValueError: if the mode is unknown.
    """
    if batch_norm not in MODES:
        raise ValueError(f"batch_norm={batch_norm!r}: expected one of {MODES}.")
    network.trainable = False
    if batch_norm == "batch":
        use_batch_statistics(network)
    return network


def use_batch_statistics(network: keras.Model) -> None:
    """Lets untrainable batch norm layers take the statistics of the batch, in place.

    An untrainable layer ignores the batch, so its weights are frozen instead.

    Args:
        network: keras.Model. Layers that are trainable stay as they are.
    """
    for layer in leaves(network):
        if isinstance(layer, keras.layers.BatchNormalization) and not layer.trainable:
            layer.trainable = True
            for variable in layer.trainable_variables:
                variable.trainable = False


def wake_batch_norm(network: keras.Model) -> None:
    """Deprecated: the earlier name of `use_batch_statistics`."""
    use_batch_statistics(network)


def leaves(network: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a network and of the networks inside of it."""
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer
