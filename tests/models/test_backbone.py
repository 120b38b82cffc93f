"""Networks of keras.applications as students."""

import keras
import numpy as np
import pytest
from network_checks import check_trains_under_igam

from igam_tf import models

MOBILE_NET = keras.applications.mobilenet_v2


def _first_blocks():
    """MobileNetV2 up to its fourth block: the rest is more of the same layers."""
    whole = MOBILE_NET.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
    )
    return keras.Model(whole.inputs, whole.get_layer("block_3_project_BN").output)


def test_mobilenet_is_a_student_of_igam():
    backbone = _first_blocks()
    student = models.with_backbone(
        backbone,
        num_classes=2,
        image_shape=(32, 32, 3),
        preprocess=MOBILE_NET.preprocess_input,
    )
    images = np.random.default_rng(0).random((4, 32, 32, 3)).astype("float32")
    expected = backbone(images * 2 - 1).numpy()
    expected = student.get_layer("logit")(expected.mean(axis=(1, 2)))
    np.testing.assert_allclose(student(images), expected, atol=1e-5)
    teacher = models.small_cnn(num_classes=5, image_shape=(32, 32, 3), filters=(4,))
    check_trains_under_igam(student, teacher, images)


def test_size_and_channels_are_fitted():
    features = models.small_cnn(num_classes=4, image_shape=(16, 16, 3), filters=(4,))
    model = models.with_backbone(features, num_classes=2, image_shape=(8, 8, 1))
    assert model(np.zeros((2, 8, 8, 1), "float32")).shape == (2, 2)
    with pytest.raises(ValueError, match="2 channels"):
        models.with_backbone(features, num_classes=2, image_shape=(8, 8, 2))
    tokens = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Reshape((4, 4))])
    with pytest.raises(ValueError, match="expected features"):
        models.with_backbone(tokens, num_classes=2, image_shape=(4, 4, 1))
