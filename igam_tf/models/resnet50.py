"""ResNet-50 of `keras.applications`, as a classifier of this package."""

import keras

from igam_tf.models.backbone import with_backbone
from igam_tf.models.data_format import channels_last


@channels_last()
def resnet50(
    *, num_classes: int, image_shape: tuple[int, int, int] = (224, 224, 3)
) -> keras.Model:
    """A ResNet-50 with random weights, for `--student_model=module:function`.

    Args:
        num_classes: number of logits.
        image_shape: (height, width, 3), sides of at least 32 pixels.

    Returns:
        keras.Model from images (batch, *image_shape) in [0, 1] to logits
        (batch, num_classes); it normalises with the mean and deviation of ImageNet.
    """
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=image_shape
    )
    return with_backbone(
        backbone,
        num_classes=num_classes,
        image_shape=image_shape,
        preprocess=_preprocess,
        name="resnet50",
    )


def _preprocess(pixels):
    return keras.applications.imagenet_utils.preprocess_input(pixels, mode="torch")
