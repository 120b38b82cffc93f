"""What a network computes in is what its layers say, whatever the policy is now."""

import keras
import numpy as np
import pytest

from igam_tf import compat, distribution, models
from igam_tf.evaluation.masking import precision_warnings


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_float32_network_loaded_under_another_policy(policy, tmp_path):
    """The layer of its input and the network itself then report the policy."""
    path = tmp_path / "model.keras"
    models.small_cnn(num_classes=3, hidden_units=8).save(path)
    with distribution.precision(policy):
        loaded = keras.models.load_model(path, compile=False)
        assert loaded.compute_dtype == policy.removeprefix("mixed_")
        assert models.compute_dtype(loaded) == "float32"
        assert models.in_float32(loaded) is loaded
        assert precision_warnings(loaded) == []


def test_a_network_in_half_precision_says_so_under_float32(tmp_path):
    path = tmp_path / "model.keras"
    with distribution.precision("mixed_float16"):
        models.small_cnn(num_classes=3, hidden_units=8).save(path)
    loaded = keras.models.load_model(path, compile=False)
    assert models.compute_dtype(loaded) == "float16"
    (sentence,) = precision_warnings(loaded)
    assert "computes in float16" in sentence


class Block(keras.layers.Layer):
    """Makes a layer in the precision of the moment."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner = keras.layers.Conv2D(2, 3)

    def call(self, images):
        return self.inner(images)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.SpectralNormalization(keras.layers.Conv2D(2, 3)),
        lambda: keras.layers.TimeDistributed(keras.layers.Conv1D(2, 3)),
        Block,
    ],
    ids=["SpectralNormalization", "TimeDistributed", "Block"],
)
def test_layers_inside_of_layers_are_brought_to_float32(layer):
    with distribution.precision("mixed_float16"):
        head = keras.layers.Dense(2, dtype="float32")
        network = keras.Sequential(
            [keras.Input((6, 6, 1)), layer(), keras.layers.Flatten(), head]
        )
        assert models.compute_dtype(network) == "float16"
        copy = models.in_float32(network)
    assert models.compute_dtype(copy) == "float32"
    every = compat.flatten_layers(copy.layers[0])
    assert {part.compute_dtype for part in every} == {"float32"}
    images = np.random.default_rng(0).random((3, 6, 6, 1), np.float32)
    np.testing.assert_allclose(copy(images), network(images), atol=1e-2)
