"""The moving variance of TensorFlow 1, in layers that stay plain Keras layers."""

import keras
import numpy as np
import pytest

from igam_tf import models, training

pytestmark = pytest.mark.fast


def network():
    return keras.Sequential(
        [
            keras.Input((3, 3, 2)),
            keras.layers.BatchNormalization(momentum=0.9, name="norm"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )


def moving_variance(model, images, **kwargs):
    outputs = model(images, **kwargs)
    return model.get_layer("norm").moving_variance.numpy(), np.asarray(outputs)


@pytest.fixture
def images():
    return np.random.default_rng(0).random((4, 3, 3, 2)).astype("float32")


@pytest.mark.parametrize("times", [1, 2])
def test_averages_the_unbiased_variance(images, times):
    model = network()
    for _ in range(times):  # Twice is once.
        models.unbias_moving_variance(model)
    found, _ = moving_variance(model, images, training=True)
    expected = 0.9 + 0.1 * images.var(axis=(0, 1, 2), ddof=1)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_nothing_else_changes(images):
    plain = network()
    changed = models.unbias_moving_variance(keras.models.clone_model(plain))
    changed.set_weights(plain.get_weights())
    for mode in (True, False):
        _, ours = moving_variance(changed, images, training=mode)
        _, keras_own = moving_variance(plain, images, training=mode)
        if mode:
            np.testing.assert_array_equal(ours, keras_own)
            plain.set_weights(changed.get_weights())
    np.testing.assert_array_equal(ours, keras_own)
    before, _ = moving_variance(changed, images, training=False)
    np.testing.assert_array_equal(before, moving_variance(changed, images)[0])


def test_one_value_a_channel_is_finite():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.BatchNormalization(momentum=0.9, name="norm")]
    )
    models.unbias_moving_variance(model)
    found, _ = moving_variance(model, np.ones((1, 2), "float32"), training=True)
    np.testing.assert_allclose(found, 0.9, rtol=1e-6)


def test_saved_as_plain_keras_layers(images, tmp_path):
    model = models.unbias_moving_variance(network())
    expected, _ = moving_variance(model, images, training=True)
    model.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras", safe_mode=True)
    layer = loaded.get_layer("norm")
    assert type(layer) is keras.layers.BatchNormalization
    np.testing.assert_array_equal(layer.moving_variance.numpy(), expected)
    np.testing.assert_array_equal(model(images), loaded(images))
    moved, _ = moving_variance(loaded, images, training=True)
    # As Keras does it: the biased variance.
    np.testing.assert_allclose(
        moved, 0.9 * expected + 0.1 * images.var(axis=(0, 1, 2)), rtol=1e-6
    )


def test_igam_with_the_references_arguments_changes_all_three():
    shape = (8, 8, 3)
    wide = {"depth": 8, "width": 1, "image_shape": shape}
    networks = (
        models.wide_resnet(**wide),
        models.wide_resnet(**wide),
        models.discriminator(gradient_shape=shape, channels=(4,)),
    )
    plain = training.IGAM(*networks)
    assert not any("call" in vars(layer) for layer in plain.student.layers)
    training.IGAM(*networks, **training.reference.arguments())
    for model in networks:
        norms = [x for x in model.layers if "norm" in x.name]
        assert norms and all("call" in vars(layer) for layer in norms)
    with pytest.raises(ValueError, match="moving_variance='corrected'"):
        training.IGAM(*networks, moving_variance="corrected")
