"""What a network computes in is what its layers say, whatever the policy is now."""

import keras
import pytest

from igam_tf import distribution, models
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
