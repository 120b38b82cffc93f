"""The pre-activation ResNet: size, second derivatives, student and teacher."""

import keras
import numpy as np
import pytest
from network_checks import (
    check_loads_without_package,
    check_second_derivatives,
    check_trains_under_igam,
)

from igam_tf import models

SMALL = {"depth": 10, "width": 4, "image_shape": (8, 8, 3)}


def test_the_default_is_preactresnet_18():
    model = models.preact_resnet()
    # By hand: stem 1,728; four stages of 3x3 convolutions of 64 to 512 filters; three
    # 1x1 shortcuts; batch norms of twice their channels; logits 5,130.
    stages = [(64, 64), (64, 128), (128, 256), (256, 512)]
    kernels = sum(9 * (a * b + 3 * b * b) for a, b in stages)
    shortcuts = sum(a * b for a, b in stages[1:])
    norms = 2 * sum(a + 3 * b for a, b in stages) + 2 * 512
    expected = 9 * 3 * 64 + kernels + shortcuts + norms + 512 * 10 + 10
    trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert trainable == expected
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert len([x for x in convolutions if x.kernel_size == (3, 3)]) == 17
    assert model.get_layer("unit_last_activation").output.shape[1:] == (4, 4, 512)


def test_second_derivatives():
    check_second_derivatives(
        lambda: models.preact_resnet(num_classes=3, activation="gelu", **SMALL)
    )


def test_loads_without_this_package(tmp_path):
    check_loads_without_package(
        models.preact_resnet(normalization="standardize", **SMALL), tmp_path
    )


def test_student_and_teacher_of_igam():
    images = np.random.default_rng(0).random((8, 8, 8, 3)).astype("float32")
    teacher = models.preact_resnet(num_classes=5, **SMALL)
    student = models.preact_resnet(num_classes=2, **SMALL)
    check_trains_under_igam(student, teacher, images)


@pytest.mark.parametrize("arguments", [
    {"depth": 20}, {"width": 0}, {"image_shape": (30, 30, 3)},
    {"normalization": "batch"}, {"activation": "sine"},
])  # fmt: skip
def test_sizes_that_are_not_legal(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}="):
        models.preact_resnet(**{**SMALL, **arguments})
