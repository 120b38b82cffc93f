"""The vision transformer: size, class token, positions, second derivatives."""

import keras
import numpy as np
import pytest
from network_checks import (
    check_loads_without_package,
    check_second_derivatives,
    check_trains_under_igam,
)

from igam_tf import models

SMALL = {"depth": 2, "width": 8, "num_heads": 2, "image_shape": (8, 8, 3)}


def test_the_default_is_pags():
    model = models.vit()
    # By hand: 4 projections and 2 layers of the MLP a block, 2 norms; 65 places.
    square = 384 * 384 + 384
    block = 6 * square + 2 * 2 * 384
    expected = 7 * block + 48 * 384 + 65 * 384 + 2 * 384 + 384 * 10 + 10
    assert model.count_params() == expected


def test_the_class_token_and_the_positions_are_biases():
    model = models.vit(**SMALL)
    layer = model.get_layer("embedding")
    assert layer.bias.shape == (5, 8)
    assert np.std(layer.bias) > 0
    tokens = keras.Model(model.inputs, layer.output)
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    found = tokens(images).numpy()
    # The first token is the same for every image: its bias.
    np.testing.assert_allclose(found[:, 0], np.tile(layer.bias[0], (2, 1)), rtol=1e-6)
    # The patch of rows 0 to 3 and columns 4 to 7, by hand.
    patch = images[:, :4, 4:].reshape(2, -1)
    expected = patch @ layer.kernel.numpy() + layer.bias.numpy()[2]
    np.testing.assert_allclose(found[:, 2], expected, rtol=1e-4, atol=1e-5)


def test_positions_tell_patches_apart():
    model = models.vit(**SMALL)
    images = np.random.default_rng(0).random((1, 8, 8, 3)).astype("float32")
    swapped = np.concatenate([images[:, 4:], images[:, :4]], axis=1)
    assert np.abs(model(images) - model(swapped)).max() > 1e-5
    layer = model.get_layer("embedding")
    bias = layer.bias.numpy()
    bias[1:] = bias[1]
    layer.bias.assign(bias)
    np.testing.assert_allclose(model(images), model(swapped), atol=1e-5)


def test_second_derivatives():
    check_second_derivatives(lambda: models.vit(num_classes=3, **SMALL))


def test_loads_without_this_package(tmp_path):
    check_loads_without_package(models.vit(**SMALL), tmp_path)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_student_and_teacher_of_igam(jit_compile):
    images = np.random.default_rng(0).random((8, 8, 8, 3)).astype("float32")
    small = {**SMALL, "depth": 1}
    teacher = models.vit(num_classes=5, **small)
    student = models.vit(num_classes=2, **small)
    check_trains_under_igam(student, teacher, images, jit_compile=jit_compile)


@pytest.mark.parametrize("arguments", [
    {"patch_size": 3}, {"num_heads": 3}, {"normalization": "batch"},
    {"activation": "sine"},
])  # fmt: skip
def test_sizes_that_are_not_legal(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))}="):
        models.vit(**{**SMALL, **arguments})
