"""Sizes of the originals, legal sizes, and models that load without this package."""

import keras
import numpy as np
import pytest
from network_checks import check_loads_without_package

from igam_tf import models


def test_wide_resnet_32_10_is_madrylabs():
    """45,901,914 trainable parameters, `shared/papers/reference.md`."""
    model = models.wide_resnet(depth=32, width=10)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 45_901_914
    assert len(model.trainable_variables) == 95


def test_mnist_cnn_is_madrylabs():
    model = models.mnist_cnn()
    shapes = [tuple(v.shape) for v in model.trainable_variables if v.name == "kernel"]
    assert shapes == [(5, 5, 1, 32), (5, 5, 32, 64), (3136, 1024), (1024, 10)]


@pytest.mark.parametrize("depth, width", [(8, 1), (14, 2)])
def test_wide_resnet_of_any_legal_size(depth, width):
    model = models.wide_resnet(depth=depth, width=width, image_shape=(16, 16, 3))
    convolutions = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    assert len(convolutions) == depth - 1
    assert convolutions[-1].filters == 64 * width


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"depth": 9}, "6 n"),
        ({"depth": 2}, "6 n"),
        ({"width": 0}, "width=0"),
        ({"image_shape": (30, 30, 3)}, "divisible by 4"),
        ({"normalization": "batch"}, "normalization='batch'"),
        ({"activation": "sine"}, "activation='sine'"),
    ],
)
def test_sizes_that_are_not_legal(arguments, message):
    with pytest.raises(ValueError, match=message):
        models.wide_resnet(**{"depth": 8, "width": 1, **arguments})


def test_normalizations_ignore_what_they_should():
    images = np.random.default_rng(0).random((2, 8, 8, 3)).astype("float32")
    for name in ("standardize", "zero_mean_unit_norm"):
        normalize = models.NORMALIZATIONS[name]
        expected = np.asarray(normalize(keras.ops.convert_to_tensor(images)))
        moved = np.asarray(normalize(keras.ops.convert_to_tensor(images * 0.5 + 0.2)))
        np.testing.assert_allclose(moved, expected, atol=1e-4)
    constant = models.NORMALIZATIONS["standardize"](keras.ops.ones((1, 4, 4, 1)))
    np.testing.assert_array_equal(constant, np.zeros((1, 4, 4, 1)))


@pytest.mark.parametrize("make, shape", [
    (models.discriminator, (32, 32, 3)), (models.dense_discriminator, (8, 8, 1)),
])  # fmt: skip
def test_discriminators_see_directions_within_the_window(make, shape):
    model = make(gradient_shape=shape, crop_to=(4, 4))
    gradient = np.random.default_rng(0).normal(size=(2, *shape)).astype("float32")
    outside = gradient.copy()
    outside[:, 0, :, :] = 7.0
    np.testing.assert_allclose(model(gradient), model(3 * outside + 1), atol=1e-4)
    with pytest.raises(ValueError, match="larger than the gradient"):
        make(gradient_shape=shape, crop_to=(64, 64))


def test_freezing():
    model = models.wide_resnet(depth=8, width=1, image_shape=(8, 8, 1))
    images = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")
    in_training = np.asarray(model(images, training=True))
    frozen = models.freeze(model)
    assert not frozen.trainable_variables
    inference = np.asarray(frozen(images, training=False))
    np.testing.assert_array_equal(frozen(images, training=True), inference)
    batch = models.freeze(model, batch_norm="batch")
    assert not batch.trainable_variables
    np.testing.assert_allclose(batch(images, training=True), in_training, atol=1e-5)
    with pytest.raises(ValueError, match="batch_norm='train'"):
        models.freeze(model, batch_norm="train")


@pytest.mark.parametrize(
    "network",
    [
        lambda **kwargs: models.wide_resnet(depth=8, width=1, **kwargs),
        models.mnist_cnn,
        models.discriminator,
        models.dense_discriminator,
    ],
)
def test_given_kernels_are_in_place_of_drawn_ones(network):
    drawn = network()
    kernels = {
        layer.name: np.full(layer.kernel.shape, 0.5)
        for layer in drawn.layers
        if hasattr(layer, "kernel") and layer.name != "logit"
    }
    given = network(kernels=kernels)
    for name in kernels:
        assert np.all(given.get_layer(name).kernel.numpy() == 0.5)
        # Clones draw theirs: no given kernel stays in the configuration.
        config = given.get_layer(name).get_config()
        assert config == drawn.get_layer(name).get_config()
    assert np.std(given.get_layer("logit").kernel) > 0


def test_given_kernels_of_another_shape():
    with pytest.raises(ValueError, match=r"'init_conv'. has shape .2,.*3, 3, 3, 16"):
        models.wide_resnet(depth=8, width=1, kernels={"init_conv": np.zeros(2)})


def test_a_saved_student_loads_without_this_package(tmp_path):
    model = models.wide_resnet(depth=8, width=1)
    check_loads_without_package(model, tmp_path, atol=1e-6)
