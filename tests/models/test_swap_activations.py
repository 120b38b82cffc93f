"""Swapped activations: the same network, with another function between its layers."""

import keras
import numpy as np
import pytest

from igam_tf import models

IMAGES = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")


def _every_kind(activation):
    """A network with activations in every place; `activation(layer=True)` and so on."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 4)),
            keras.layers.DepthwiseConv2D(3, activation=activation("argument")),
            activation("layer"),
        ],
        name="inner",
    )
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, padding="same", activation=activation("argument"))(
        images
    )
    x = inner(activation("operation")(x))
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(activation("named")(x))
    x = keras.layers.Dense(5, activation="tanh")(x)
    return keras.Model(images, keras.layers.Dense(3, activation="softmax")(x))


def _relu(kind):
    return {
        "argument": "relu",
        "layer": keras.layers.ReLU(),
        "operation": keras.ops.relu,
        "named": keras.layers.Activation("relu"),
    }[kind]


def _wanted(name):
    def of(kind):
        function = keras.activations.get(name)
        if name == "leaky_relu":
            function = keras.layers.LeakyReLU(negative_slope=0.1)
        if kind == "argument":
            return function
        return keras.layers.Activation(function)

    return of


@pytest.mark.parametrize("name", models.ACTIVATIONS)
def test_equals_the_network_made_with_them(name, tmp_path):
    original = _every_kind(_relu)
    before, weights = original(IMAGES).numpy(), original.get_weights()
    swapped = models.swap_activations(original, name)
    expected = _every_kind(_wanted(name))
    expected.set_weights(weights)
    np.testing.assert_allclose(swapped(IMAGES), expected(IMAGES), atol=1e-6)
    assert (np.abs(swapped(IMAGES) - before).max() > 1e-4) == (name != "relu")
    # The given network is as it was, and shares nothing with the copy.
    for variable in swapped.variables:
        variable.assign(variable + 1.0)
    np.testing.assert_array_equal(original(IMAGES), before)
    for a, b in zip(original.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    swapped.set_weights(weights)
    swapped.save(tmp_path / "swapped.keras")
    loaded = keras.models.load_model(tmp_path / "swapped.keras")
    np.testing.assert_array_equal(loaded(IMAGES), swapped(IMAGES))


@pytest.mark.parametrize("layer", [
    keras.layers.LeakyReLU(), keras.layers.ELU(), keras.layers.PReLU(),
    keras.layers.ReLU(6.0), keras.layers.Activation("silu"),
    keras.layers.Activation(keras.layers.LeakyReLU(0.3)),
    keras.layers.Activation(keras.layers.Activation("relu")),
    keras.layers.TimeDistributed(keras.layers.ReLU()),
])  # fmt: skip
def test_other_activations_are_swapped_too(layer):
    def network(layer):
        return keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3), layer,
             keras.layers.Flatten(), keras.layers.Dense(2)]
        )  # fmt: skip

    original = network(layer)
    swapped = models.swap_activations(original, "gelu")
    expected = network(keras.layers.Activation("gelu"))
    for a, b in zip(original.layers, expected.layers, strict=True):
        if a is not layer:
            b.set_weights(a.get_weights())
    np.testing.assert_allclose(swapped(IMAGES), expected(IMAGES), atol=1e-6)


@pytest.mark.parametrize("network", [
    models.wide_resnet, models.preact_resnet, models.vit,
])  # fmt: skip
def test_networks_of_the_package(network):
    small = {"depth": {"wide_resnet": 8, "preact_resnet": 10, "vit": 1}, "width": 4}
    small["depth"] = small["depth"][network.__name__]
    if network is models.vit:
        small["num_heads"] = 2
    small["image_shape"] = (8, 8, 1)
    original = network(activation="relu", **small)
    expected = network(activation="silu", **small)
    expected.set_weights(original.get_weights())
    swapped = models.swap_activations(original, "silu")
    np.testing.assert_allclose(swapped(IMAGES), expected(IMAGES), atol=1e-6)
    assert [x.name for x in swapped.layers] == [x.name for x in original.layers]


@pytest.mark.parametrize("name", ["gelu", "leaky_relu"])
def test_activations_inside_of_wrappers_and_as_layers(name):
    def network(activation):
        inner = keras.layers.Conv2D(2, 3, activation=activation)
        return keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.SpectralNormalization(inner),
             keras.layers.Dense(3, activation=activation), keras.layers.ReLU(),
             keras.layers.Flatten(), keras.layers.Dense(2)]
        )  # fmt: skip

    original = network(keras.layers.Activation("relu"))
    swapped = models.swap_activations(original, name)
    function = models.activations.activation(name, "hidden")
    expected = network(function)
    expected.set_weights(original.get_weights())
    wanted = keras.Sequential([*expected.layers[:2], function, *expected.layers[3:]])
    np.testing.assert_allclose(swapped(IMAGES), wanted(IMAGES), atol=1e-6)
    assert np.abs(swapped(IMAGES) - original(IMAGES)).max() > 1e-4


def test_logits_of_a_rectified_layer_stay():
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activation="relu"),
         keras.layers.Dense(2, activation="relu")]
    )  # fmt: skip
    swapped = models.swap_activations(model, "gelu")
    assert [x.activation.__name__ for x in swapped.layers] == ["gelu", "relu"]


def test_a_frozen_layer_stays_frozen():
    model = models.small_cnn(activation="relu")
    model.get_layer("conv1").trainable = False
    swapped = models.swap_activations(model, "gelu")
    assert not swapped.get_layer("conv1").trainable
    assert swapped.get_layer("conv2").trainable


def test_nothing_to_swap():
    linear = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)], name="line")
    with pytest.raises(ValueError, match="'line' has no hidden activation"):
        models.swap_activations(linear, "gelu")
    with pytest.raises(ValueError, match="activation='sine'"):
        models.swap_activations(linear, "sine")

    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="model of its own class"):
        models.swap_activations(Own(), "gelu")
