"""What a classifier computes before its logits, and which images it takes."""

from collections.abc import Sequence

import keras

from igam_tf import compat
from igam_tf.models.activations import is_linear
from igam_tf.models.copying import check_can_be_copied

_CHANNELS = (1, 3, 4)


def before_logits(network: keras.Model, role: str = "teacher") -> keras.Model:
    """A classifier without its logit layer.

    Args:
        network: functional or Sequential keras.Model with one input and one output,
            which a Dense layer gives; it may stand in a network inside of it, such as
            one that is put behind a `Rescaling`.
        role: what it was given as, for errors.

    Returns:
        keras.Model from the same input to the features (batch, units), which shares
        the layers of the network.

    Raises:
        ValueError: if there are several inputs or outputs, or no such Dense layer.
    """
    return _cut(network, role)[0]


def features_and_logits(network: keras.Model, role: str = "student") -> keras.Model:
    """A classifier that gives its features beside its logits, in one pass.

    Args:
        network, role: as of `before_logits`.

    Returns:
        keras.Model from the same input to a list (features (batch, units), logits
        (batch, classes)), which shares the layers of the network.

    Raises:
        ValueError: as `before_logits`.
    """
    features, head = _cut(network, role)
    logits = features.outputs[0]
    for layer in head:
        logits = layer(logits)
    return keras.Model(features.inputs[0], [features.outputs[0], logits])


def _cut(network, role):
    """The network to its features, and the layers from there to its logits."""
    check_can_be_copied(network)
    # A Sequential model that was never called raises an AttributeError of Keras' own.
    if not getattr(network, "inputs", None):
        raise ValueError(
            f"{network.name!r} has no inputs yet: expected a model that knows its "
            "images; let its layers begin with keras.Input((height, width, channels))."
        )
    for what, tensors in (("inputs", network.inputs), ("outputs", network.outputs)):
        if len(tensors) != 1:
            names = ", ".join(tensor.name for tensor in tensors)
            raise ValueError(
                f"{network.name!r} has {len(tensors)} {what} ({names}): expected one. "
                "Choose: keras.Model(model.inputs[0], model.outputs[0]) is the network "
                "to its first output."
            )
    last = compat.operation_of_output(network)
    given = compat.inputs_of_output(network)
    if isinstance(last, keras.Model):
        inside, head = _cut(last, role)
        return keras.Model(network.inputs[0], inside(given[0])), head
    if is_linear(last):
        before, head = _cut(keras.Model(network.inputs[0], given[0]), role)
        return before, [*head, last]
    if not isinstance(last, keras.layers.Dense):
        raise ValueError(
            f"The {role} {network.name!r} ends in {type(last).__name__} "
            f"{last.name!r}; expected a functional keras.Model that ends in the Dense "
            "layer of its logits; igam_tf.models.without_softmax takes a softmax off."
        )
    if len(given[0].shape) != 2:
        raise ValueError(
            f"The {role} {network.name!r} ends in the Dense layer {last.name!r} of "
            f"inputs {tuple(given[0].shape)}; expected features (batch, units)."
        )
    return keras.Model(network.inputs[0], given[0]), [last]


def check_channels_last(shape: Sequence[int | None], what: str) -> None:
    """Raises ValueError if images of a shape have their channels first.

    Args:
        shape: (height, width, channels), or what is taken for it.
        what: the images, or the network that takes them, for the message.
    """
    if len(shape) != 3 or shape[0] not in _CHANNELS or shape[-1] in _CHANNELS:
        return
    height, width, channels = shape[1], shape[2], shape[0]
    raise ValueError(
        f"{what}: shape {tuple(shape)} has its {channels} channels first; expected "
        f"(height, width, channels), {(height, width, channels)}. Images: "
        "np.moveaxis(images, 1, -1). A network: images = keras.Input("
        f"{(height, width, channels)}); keras.Model(images, "
        "network(keras.layers.Permute((3, 1, 2))(images)))."
    )
