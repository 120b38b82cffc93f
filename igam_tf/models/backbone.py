"""A network of `keras.applications` or Keras Hub as a classifier of this package."""

from collections.abc import Callable

import keras

from igam_tf.models.data_format import channels_last
from igam_tf.models.normalization import GREY_LEVELS


@channels_last()
def with_backbone(
    backbone: keras.Model,
    *,
    num_classes: int,
    image_shape: tuple[int, int, int],
    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
    pooling: str = "mean",
    name: str = "backbone_classifier",
) -> keras.Model:
    """A backbone behind its preprocessing, with a new logit layer.

    For instance

        backbone = keras.applications.MobileNetV2(
            include_top=False, input_shape=(96, 96, 3), weights="imagenet")
        student = igam_tf.models.with_backbone(
            backbone, num_classes=10, image_shape=(32, 32, 3),
            preprocess=keras.applications.mobilenet_v2.preprocess_input)

    Args:
        backbone: functional keras.Model from preprocessed images to features:
            (batch, units); or (batch, height, width, units) or (batch, tokens, units),
            which are pooled.
        num_classes: number of logits.
        image_shape: (height, width, channels) of the images; they are resized
            (bilinearly) and one channel is repeated where the backbone takes others.
        preprocess: function of symbolic tensors from grey levels (0 to 255) to the
            backbone's input; None for a backbone that takes grey levels itself.
        pooling: "mean", over places or tokens; or "first", a class token such as that
            of Keras Hub's ViT.
        name: the model's name.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes).

    Raises:
        ValueError: if the backbone takes other channels or gives no features, or there
            is no such pooling.
    """
    images = keras.Input(image_shape, name="images")
    x = _fitted(images, tuple(backbone.input_shape[1:])) * GREY_LEVELS
    if preprocess is not None:
        x = preprocess(x)
    features = _pooled(backbone(x), pooling, backbone.name)
    logits = keras.layers.Dense(num_classes, dtype=keras.config.floatx(), name="logit")(
        features
    )
    return keras.Model(images, logits, name=name)


def _pooled(features, pooling, name):
    """Features (batch, units) of a backbone."""
    if not isinstance(features, keras.KerasTensor):
        raise ValueError(
            f"backbone {name!r} gives a {type(features).__name__} of outputs: expected "
            "features alone; igam_tf.models.one_output(backbone, name) is the backbone "
            "of one of them."
        )
    rank = len(features.shape)
    if pooling not in ("mean", "first") or (pooling == "first" and rank != 3):
        raise ValueError(
            f"pooling={pooling!r} of features {tuple(features.shape)}: expected "
            "'mean', or 'first' of (batch, tokens, units)."
        )
    if pooling == "first":
        return features[:, 0]
    if rank == 4:
        return keras.layers.GlobalAveragePooling2D(name="features")(features)
    if rank == 3:
        return keras.layers.GlobalAveragePooling1D(name="features")(features)
    if rank != 2:
        raise ValueError(
            f"backbone {name!r} gives {tuple(features.shape)}; expected features "
            "(batch, units), (batch, tokens, units) or (batch, height, width, units)."
        )
    return features


def _fitted(images, shape):
    """Images of the size and channels that the backbone takes; None fits any."""
    x = images
    if None not in shape[:2] and tuple(x.shape[1:3]) != shape[:2]:
        x = keras.layers.Resizing(*shape[:2], name="resize")(x)
    if x.shape[-1] == shape[-1]:
        return x
    if x.shape[-1] != 1:
        raise ValueError(
            f"images of {x.shape[-1]} channels do not fit a backbone that takes "
            f"{shape[-1]}; expected as many, or one."
        )
    return keras.ops.repeat(x, shape[-1], axis=-1)
