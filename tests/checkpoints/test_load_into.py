"""Any TF1 checkpoint into a model of one's own, by a table of names."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_checkpoints import write

from igam_tf import checkpoints
from igam_tf.checkpoints import CheckpointError, load_into

TABLE = {
    "conv1/weights": ("conv/kernel", (2, 3, 1, 0)),
    "conv1/biases": "conv/bias",
    "fc/weights": "logits/kernel",
    "fc/biases": "logits/bias",
    "mean": "pixels/mean",
    "variance": "pixels/variance",
}


def network():
    return keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Normalization(name="pixels"),
            keras.layers.Conv2D(2, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(3, name="logits"),
        ]
    )


@pytest.fixture(name="stored")
def _stored():
    generator = np.random.default_rng(0)
    shapes = {
        "conv1/weights": (2, 1, 3, 3),
        "conv1/biases": (2,),
        "fc/weights": (8, 3),
        "fc/biases": (3,),
        "mean": (1,),
        "variance": (1,),
    }
    made = {n: generator.random(s).astype("float32") for n, s in shapes.items()}
    return {**made, "global_step": np.int64(7), "fc/weights/Adam": np.zeros((8, 3))}


def test_it_computes_what_the_values_say(stored, tmp_path):
    path, model = write(tmp_path, stored), network()
    load_into(model, path, names=TABLE)
    images = np.random.default_rng(1).random((2, 4, 4, 1)).astype("float32")
    normalized = (images - stored["mean"]) / np.sqrt(stored["variance"])
    kernel = np.transpose(stored["conv1/weights"], (2, 3, 1, 0))
    features = keras.ops.conv(normalized, kernel) + stored["conv1/biases"]
    flat = np.reshape(features, (2, -1))
    expected = flat @ stored["fc/weights"] + stored["fc/biases"]
    np.testing.assert_allclose(model(images), expected, rtol=1e-4, atol=1e-4)


def without(*names):
    return {name: target for name, target in TABLE.items() if name not in names}


@pytest.mark.parametrize(
    "table, words",
    [
        (without("fc/biases"), r"without a variable: logits/bias \(3,\).*unused.*fc/b"),
        ({**TABLE, "fc/b": "logits/bias"}, "not in .*: fc/b;.*named twice: logits/b"),
        ({**TABLE, "fc/biases": "x/bias"}, "no weights of the model: x/bias"),
        (
            {**TABLE, "conv1/weights": "conv/kernel"},
            r"conv1/weights \(2, 1, 3, 3\) for conv/kernel \(3, 3, 1, 2\).*"
            r"transpose fits: pass \('conv/kernel', \(2, 3, 1, 0\)\)",
        ),
        (
            {**TABLE, "fc/weights": ("logits/kernel", (1, 0))},
            r"fc/weights \(3, 8\) for logits/kernel \(8, 3\)",
        ),
        ({**TABLE, "fc/biases": ("logits/bias", (1, 0))}, r"\(3,\) has no axes"),
        ({**TABLE, "fc/biases": ("logits/bias", (0, 0))}, "expected the path of a"),
        ({**TABLE, "fc/biases": 3}, "expected the path of a weight"),
    ],
)
def test_refusals_leave_the_model_alone(stored, tmp_path, table, words):
    path, model = write(tmp_path, stored), network()
    before = model.get_weights()
    with pytest.raises(CheckpointError, match=words):
        load_into(model, path, names=table)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_slots_are_not_offered_and_nan_is_refused(stored, tmp_path):
    stored["fc/biases"] = np.full(3, np.nan, "float32")
    path = write(tmp_path, stored)
    with pytest.raises(CheckpointError) as caught:
        load_into(network(), path, names=without("fc/biases"))
    assert "Adam" not in str(caught.value)
    with pytest.raises(CheckpointError, match="fc/biases.*NaN"):
        load_into(network(), path, names=TABLE)
    # What `describe` lists is what the table is made from.
    assert "conv1/weights" in checkpoints.describe(path).other


def _dense(dtype):
    layer = keras.layers.Dense(2, dtype=dtype, name="logits")
    return keras.Sequential([keras.Input((2,)), layer])


# Of each type a number that rounds to its largest, and one that does not.
@pytest.mark.parametrize(
    ("dtype", "fits", "beyond"),
    [
        ("float16", np.float32(65519), np.float32(-65520)),
        ("bfloat16", np.float32(3.389e38), np.float32(3.4e38)),
        ("float32", np.float64(3.4e38), np.float64(3.5e38)),
    ],
)
def test_numbers_beyond_the_type_of_a_weight_are_refused(tmp_path, dtype, fits, beyond):
    names = {"fc/w": "logits/kernel", "fc/b": "logits/bias"}
    kernel = np.array([[1.0, 2e-9], [0.5, fits]], type(fits))
    bias = np.array([0.25, -fits], type(fits))
    model = _dense(dtype)
    load_into(model, write(tmp_path / "a", {"fc/w": kernel, "fc/b": bias}), names=names)
    for found, value in zip(model.weights, (kernel, bias), strict=True):
        expected = tf.cast(value, dtype)
        assert np.isfinite(tf.cast(expected, tf.float32)).all()
        np.testing.assert_array_equal(found, expected)
    bias[0] = beyond
    path = write(tmp_path / "b", {"fc/w": 0 * kernel, "fc/b": bias})
    with pytest.raises(CheckpointError, match=rf"'fc/b' holds 1 .*{dtype}, such as"):
        load_into(model, path, names=names)
    assert float(model.weights[0][0, 0]) == 1
