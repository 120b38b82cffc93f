"""The parts of a step's loss: terms by name, and the networks' own losses."""

from collections.abc import Iterable

import keras
import tensorflow as tf

#: Terms of the loss, or other values, by name: tensors (images,).
Terms = dict[str, tf.Tensor]


def merged(*parts: Terms) -> Terms:
    """Dicts of terms as one.

    Raises:
        ValueError: if two of them have a term of the same name.
    """
    found: Terms = {}
    for part in parts:
        check_names(part, found)
        found.update(part)
    return found


def check_names(names: Iterable[str], others: Iterable[str]) -> None:
    """Raises ValueError if one of the names is among the others."""
    twice = sorted(set(names) & set(others))
    if twice:
        raise ValueError(
            f"Two terms of the loss are called {', '.join(map(repr, twice))}: the "
            "second would replace the first. Give one of them another name; if it is a "
            "`penalty` that the method has already, leave the penalty out."
        )


def own_losses(network: keras.Model, dtype: tf.DType | str) -> tf.Tensor | float:
    """What a network adds to the loss itself: regularizers, `add_loss`.

    Those of its last call, as Keras keeps them; those of weights once, whatever the
    number of calls. Keras takes all of them for means over the images of the call, as
    its activity regularizers are.

    Args:
        network: keras.Model, just called.
        dtype: of the sum.

    Returns:
        Scalar tensor, or 0.0 if there is nothing.
    """
    losses = network.losses
    return (
        sum(tf.reduce_sum(tf.cast(loss, dtype)) for loss in losses) if losses else 0.0
    )
