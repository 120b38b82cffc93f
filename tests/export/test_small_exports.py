"""Batches and states that exports take, and those that they refuse in a sentence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import export, training
from igam_tf.export import manifest
from igam_tf.export.variables import named_variables


def small_method(*, more=(), optimizer=None):
    images = keras.Input((8, 8, 1))
    features = keras.layers.GlobalAveragePooling2D()(images)
    logits = keras.layers.Dense(2)(features)
    for layer in more:
        logits = layer(logits)
    method = training.StandardTraining(keras.Model(images, logits))
    method.compile(optimizer or keras.optimizers.SGD(0.1))
    return method


@pytest.mark.fast
def test_a_state_that_fits_in_part_assigns_nothing(tmp_path):
    method = small_method()
    state = {n: v.numpy() + 1 for n, v in named_variables(method).items()}
    np.savez(tmp_path / "state.npz", **state)
    doubles = {**state, "student/0001": state["student/0001"].astype("float64")}
    np.savez(tmp_path / "doubles.npz", **doubles)
    deeper = small_method(more=[keras.layers.Dense(2)])
    adam = small_method(optimizer=keras.optimizers.Adam())
    cases = (
        (deeper, "state.npz", "lacks student/0002, student/0003"),
        (deeper.student, "state.npz", "lacks student/0002, student/0003"),
        (adam, "state.npz", "lacks optimizer/0002"),
        (small_method(), "doubles.npz", "float64"),
    )
    for model, file, message in cases:
        before = [w.copy() for w in model.get_weights()]
        with pytest.raises(ValueError, match=message):
            export.import_state(model, tmp_path / file)
        for a, b in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    export.import_state(small_method(), tmp_path / "state.npz")


@pytest.mark.fast
def test_batches_in_other_forms(tmp_path):
    anything = (tf.TensorSpec(None), tf.TensorSpec([2], tf.int32))
    any_size = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2),
        ]
    )
    zeros = np.zeros([2, 8, 8, 1], np.float32)
    found = manifest.batch_specs((zeros, [0, 1]), any_size)
    assert found["images"].shape == (2, 8, 8, 1) and found["labels"].shape == (2,)
    cases = (
        (anything, any_size, r"images \(batch, any, any, 1\)"),
        ((zeros, [[0], [1]]), any_size, "fixed size"),
        ((zeros.tolist(), [0, 1]), any_size, "images float64"),
        (zeros, any_size, "expected a pair"),
        ((zeros, [0, 1]), lambda x: x, "a function is given: expected a keras.Model"),
    )
    for batch, network, message in cases:
        with pytest.raises(ValueError, match=message):
            export.export_attack(network, None, batch, tmp_path / "clean")
    with pytest.raises(ValueError, match="stablehlo_version='newest': .* '1.0.0'"):
        export.export_attack(
            any_size, None, (zeros, [0, 1]), tmp_path / "v", stablehlo_version="newest"
        )
