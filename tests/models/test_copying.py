"""Copies of networks compute what the originals do, or are refused."""

import random

import keras
import numpy as np
import pytest
from small_models import set_seed

from igam_tf import models, training

_IMAGES = np.random.default_rng(0).random((4, 8, 8, 1)).astype("float32")


def _adapted():
    """A network behind a Normalization layer of mean -20 and variance 1."""
    layer = keras.layers.Normalization()
    layer.adapt(np.array([-21.0, -19.0]).reshape(2, 1, 1, 1))
    images = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(layer(images))
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


def _of_one_normalization():
    layer = keras.layers.Normalization()
    layer.adapt(np.array([3.0, 7.0]).reshape(2, 1, 1, 1))
    images = keras.Input((1, 1, 1))
    return keras.Model(images, keras.layers.Flatten()(layer(images)))


def test_a_normalization_layer_keeps_what_adapt_gave_it():
    """(9 - 5) / 2 = 2."""
    copy = models.copy_network(_of_one_normalization())
    np.testing.assert_allclose(copy(np.full((1, 1, 1, 1), 9.0)), [[2.0]], atol=1e-5)


def test_inside_of_networks_and_wrappers():
    inner = _of_one_normalization()
    images = keras.Input((1, 1, 1))
    nested = keras.Model(images, inner(images))
    layer = keras.layers.Normalization()
    layer.adapt(np.array([[3.0], [7.0]]))
    wrapped = keras.Sequential(
        [
            keras.Input((1, 1)),
            keras.layers.TimeDistributed(layer),
            keras.layers.Flatten(),
        ]
    )
    nine = np.full((1, 1, 1, 1), 9.0)
    np.testing.assert_allclose(models.copy_network(nested)(nine), [[2.0]], atol=1e-5)
    copy = models.copy_network(wrapped)
    np.testing.assert_allclose(copy(nine[0]), [[2.0]], atol=1e-5)


def test_weights_that_are_set_are_what_a_layer_computes_with():
    """(9 - 5) / 2 = 2, and not (9 - 0) / 1; also inside of another network."""
    layer = keras.layers.Normalization()
    layer.adapt(np.array([-1.0, 1.0]).reshape(2, 1, 1, 1))
    inner = keras.Input((1, 1, 1))
    images = keras.Input((1, 1, 1))
    inner = keras.Model(inner, keras.layers.Flatten()(layer(inner)))
    model = keras.Model(images, inner(images))
    nine = np.full((1, 1, 1, 1), 9.0)
    np.testing.assert_allclose(model(nine), [[9.0]], atol=1e-5)
    models.set_weights(model, _of_one_normalization().get_weights())
    np.testing.assert_allclose(model(nine), [[2.0]], atol=1e-5)
    assert models.derives_state(model) and not models.derives_state(
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    )


@pytest.mark.parametrize(
    "copied", ["swap_activations", "in_float32", "with_new_logits"]
)
def test_every_copy_of_the_package(copied):
    policy = "mixed_bfloat16" if copied == "in_float32" else "float32"
    keras.config.set_dtype_policy(policy)
    try:
        network = _adapted()
    finally:
        keras.config.set_dtype_policy("float32")
    if copied == "swap_activations":
        copy = models.swap_activations(network, "relu")
    elif copied == "in_float32":
        copy = models.in_float32(network)
        assert models.compute_dtype(copy) == "float32"
    else:
        copy = training.with_new_logits(
            network, num_classes=3, image_shape=(8, 8, 1), input_transform="none"
        )
        copy.layers[-1].set_weights(network.layers[-1].get_weights())
    wanted = keras.ops.convert_to_numpy(keras.ops.cast(network(_IMAGES), "float32"))
    rounding = 0.03 if copied == "in_float32" else 1e-5
    size = np.abs(wanted).max()
    # Without the mean, outputs are twenty times smaller.
    np.testing.assert_allclose(copy(_IMAGES), wanted, atol=rounding * size)


class _Remembers(keras.layers.Layer):
    """Adds what was told to it after it was built: neither config nor weight."""

    added = 0.0

    def call(self, inputs):
        return inputs + self.added


def test_a_layer_that_a_copy_cannot_have_is_named():
    layer = _Remembers()
    layer.added = 3.0
    network = keras.Sequential([keras.Input((8, 8, 1)), layer, keras.layers.Flatten()])
    with pytest.raises(ValueError, match="computes something else.*_Remembers"):
        models.copy_network(network)
    network.add(keras.layers.Dense(3, activation="relu"))
    network.add(keras.layers.Dense(3))
    for copied in (
        lambda: models.swap_activations(network, "gelu"),
        lambda: training.with_new_logits(network, num_classes=2, image_shape=(8, 8, 1)),
    ):
        with pytest.raises(ValueError, match="_Remembers"):
            copied()


class _TakesArgument(keras.layers.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, inputs):
        return self.factor * inputs


def test_a_layer_without_its_config():
    network = keras.Sequential([keras.Input((8, 8, 1)), _TakesArgument(2.0)])
    with pytest.raises(ValueError, match="_TakesArgument.*get_config"):
        models.copy_network(network)


class _Noise(keras.layers.Layer):
    def call(self, inputs):
        return inputs + keras.random.normal(keras.ops.shape(inputs))


def test_a_network_that_is_random_in_itself_is_copied():
    copy = models.copy_network(keras.Sequential([keras.Input((8, 8, 1)), _Noise()]))
    assert copy.count_params() == 0


def test_networks_of_several_inputs_and_of_any_size():
    network = models.score_network(num_classes=3, image_shape=(8, 8, 1), filters=(4, 4))
    copy = models.copy_network(network)
    for ours, theirs in zip(copy.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    any_size = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3, strides=2)]
    )
    any_size.add(keras.layers.GlobalAveragePooling2D())
    assert models.copy_network(any_size).input_shape == (None, None, None, 3)


def test_a_copy_shares_no_weights():
    network = _adapted()
    before = network.get_weights()
    copy = models.copy_network(network)
    for weight in copy.weights:
        weight.assign(keras.ops.zeros_like(weight))
    for now, then in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_comparison_leaves_the_next_seed_as_it_is():
    """Rows of a table start from the same weights, whatever was copied before."""
    network = _adapted()
    set_seed(3)
    keras.models.clone_model(network)
    wanted = random.random()
    for copied in (
        lambda: models.copy_network(network),
        lambda: models.copy_network(network, replace=lambda operation: None),
    ):
        set_seed(3)
        copied()
        assert random.random() == wanted


def _trainable(network):
    """What is trainable in a network, in the order of its weights."""
    inside = {id(v) for v in network.trainable_variables}
    return [id(weight) in inside for weight in network.weights]


def _layers(network):
    for layer in network.layers:
        yield layer
        if hasattr(layer, "layers"):
            yield from _layers(layer)


def _assert_equally_trainable(network):
    for copy in (
        models.copy_network(network),
        models.copy_network(network, replace=lambda operation: None),
    ):
        assert _trainable(copy) == _trainable(network)
        assert copy.trainable == network.trainable
        for ours, theirs in zip(_layers(copy), _layers(network), strict=True):
            assert ours.trainable == theirs.trainable, theirs.name


def test_single_variables_that_are_frozen_are_frozen_in_the_copy():
    network = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    network.layers[0].kernel.trainable = False
    network.layers[1].gamma.trainable = False
    assert _trainable(network) == [False, True, False, True, False, False]
    _assert_equally_trainable(network)
    images = keras.Input((3,))
    _assert_equally_trainable(keras.Model(images, network(images)))


def test_networks_that_are_frozen_as_a_whole_with_a_layer_that_is_not():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    images = keras.Input((3,))
    network = keras.Model(images, keras.layers.Dense(2)(inner(images)))
    inner.trainable = False
    inner.layers[0].trainable = True
    assert _trainable(network) == [True, True, True, True]
    _assert_equally_trainable(network)
    network.trainable = False
    inner.trainable = True
    assert not any(_trainable(network))
    _assert_equally_trainable(network)


def test_a_layer_inside_of_a_wrapper_that_is_frozen_alone():
    wrapper = keras.layers.TimeDistributed(keras.layers.BatchNormalization())
    network = keras.Sequential([keras.Input((2, 3)), wrapper])
    wrapper.layer.trainable = False
    assert not models.copy_network(network).layers[0].layer.trainable


def test_a_network_that_stands_at_two_levels_is_one_network_in_the_copy():
    shared = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    a, b = keras.Input((3,)), keras.Input((3,))
    inner = keras.Model(a, shared(a))
    network = keras.Model(b, shared(inner(b)))
    copy = models.copy_network(network)
    assert len(copy.weights) == len(network.weights) == 2


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict:UserWarning")
def test_inputs_in_a_dict_stay_in_one():
    """Whatever their tensors are called, and in whatever order."""
    first, second = keras.Input((4,), name="first"), keras.Input((3,), name="second")
    features = keras.layers.Concatenate()([first, second])
    logits = keras.layers.Dense(2)(features)
    given = {"z": np.ones((2, 4), "float32"), "b": np.zeros((2, 3), "float32")}
    network = keras.Model({"z": first, "b": second}, logits)
    copy = models.copy_network(network)
    keras.tree.assert_same_structure(copy.input, network.input)
    np.testing.assert_array_equal(copy(given), network(given))
    one = keras.Model({"image": first}, keras.layers.Dense(2)(first))
    assert list(models.copy_network(one).input) == ["image"]
    outer = keras.Input((4,))
    nested = keras.Model(outer, network({"z": outer, "b": outer[:, :3]}))
    np.testing.assert_array_equal(
        models.copy_network(nested)(given["z"]), nested(given["z"])
    )
