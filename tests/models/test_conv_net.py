"""The convolutional network of small tasks: size, derivatives, student, teacher."""

import numpy as np
import pytest
from network_checks import (
    check_loads_without_package,
    check_second_derivatives,
    check_trains_under_igam,
)

from igam_tf import models

SMALL = {"image_shape": (8, 8, 3)}


def test_its_size():
    # By hand: 3x3 kernels, two numbers a filter of batch norm, and the logits.
    filters = [3, 32, 64, 64, 128, 128]
    kernels = sum(9 * a * b for a, b in zip(filters, filters[1:]))
    expected = kernels + 2 * sum(filters[1:]) + 128 * 10 + 10
    model = models.conv_net(width=2)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == expected
    assert model.get_layer("conv5").output.shape[1:] == (8, 8, 128)


def test_second_derivatives():
    check_second_derivatives(
        lambda: models.conv_net(num_classes=3, activation="gelu", **SMALL)
    )


def test_loads_without_this_package(tmp_path):
    check_loads_without_package(models.conv_net(**SMALL), tmp_path)


def test_student_and_teacher_of_igam():
    images = np.random.default_rng(0).random((8, 8, 8, 3)).astype("float32")
    teacher = models.conv_net(num_classes=5, normalization="standardize", **SMALL)
    check_trains_under_igam(models.conv_net(num_classes=2, **SMALL), teacher, images)


@pytest.mark.parametrize("arguments", [
    {"width": 0}, {"normalization": "batch"}, {"activation": "sine"},
])  # fmt: skip
def test_choices_that_are_unknown(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}="):
        models.conv_net(**{**SMALL, **arguments})
