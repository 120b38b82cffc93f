"""Networks are made for channels last, whatever Keras' default is."""

import keras
import pytest

from igam_tf import compat, models, transforms
from igam_tf.training import jarn

pytestmark = pytest.mark.fast

SHAPE = (32, 32, 3)


@pytest.fixture(autouse=True)
def channels_first():
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    yield
    assert keras.config.image_data_format() == "channels_first"
    keras.config.set_image_data_format(before)


def _backbone():
    images = keras.Input((8, 8, 3))
    layer = keras.layers.Conv2D(4, 3, data_format="channels_last")
    return models.with_backbone(
        keras.Model(images, layer(images)), num_classes=5, image_shape=SHAPE
    )


MADE = {
    "wide_resnet": lambda: models.wide_resnet(depth=8, width=1, num_classes=5),
    "preact_resnet": lambda: models.preact_resnet(num_classes=5, image_shape=SHAPE),
    "conv_net": lambda: models.conv_net(num_classes=5, image_shape=SHAPE),
    "mnist_cnn": lambda: models.mnist_cnn(num_classes=5, image_shape=SHAPE),
    "small_cnn": lambda: models.small_cnn(num_classes=5, image_shape=SHAPE),
    "with_backbone": _backbone,
    "vit": lambda: models.vit(num_classes=5, image_shape=SHAPE),
    "discriminator": lambda: models.discriminator(gradient_shape=SHAPE, channels=(4,)),
    "adaptor": lambda: jarn.make_adaptor(SHAPE),
}


@pytest.mark.parametrize("name", MADE)
def test_networks(name):
    found = {
        layer.name: layer.data_format
        for layer in compat.flatten_layers(MADE[name]())
        if hasattr(layer, "data_format") and layer.name != "flatten"
    }
    assert set(found.values()) <= {"channels_last"}, found
    assert found or name == "vit"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("auto", (28, 28, 1)),
        ("auto", (64, 64, 3)),
        ("smooth_resize", (45, 50, 3)),
        ("center_pad", (28, 30, 3)),
        ("center_crop", (40, 36, 3)),
        ("transpose_conv", (16, 16, 3)),
    ],
)
def test_input_transforms(name, shape):
    transform = transforms.input_transform(name, shape, SHAPE)
    assert transform.output_shape == (None, *SHAPE)
