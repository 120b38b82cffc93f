"""Classifiers of other pixels, and of channels first, as ones of images in [0, 1]."""

import keras
import numpy as np
import pytest
from small_models import linear_model

from igam_tf import models


def images(*shape):
    return np.random.default_rng(0).random((3, *shape)).astype("float32")


@pytest.mark.parametrize(
    "options, pixels",
    [
        ({"input_range": (0, 255)}, lambda x: 255 * x),
        ({"input_range": (-1, 1)}, lambda x: 2 * x - 1),
        ({"mean": 0.5, "std": 0.25}, lambda x: (x - 0.5) / 0.25),
        (
            {"input_range": (0, 255), "mean": (120, 110), "std": (60, 50)},
            lambda x: (255 * x - [120, 110]) / [60, 50],
        ),
    ],
)
def test_by_hand(options, pixels, tmp_path):
    model, weights, bias = linear_model((2, 2, 2))
    found = models.with_pixels(model, **options)
    x = images(2, 2, 2)
    expected = pixels(x).reshape(3, -1) @ weights + bias
    np.testing.assert_allclose(found(x), expected, rtol=1e-4, atol=1e-3)
    # It is plain Keras, and loads without this package.
    found.save(tmp_path / "wrapped.keras")
    loaded = keras.saving.load_model(tmp_path / "wrapped.keras")
    np.testing.assert_allclose(loaded(x), found(x), rtol=1e-5)


def test_nothing_asked_for_is_the_model_itself():
    model, _, _ = linear_model((2, 2, 2))
    assert models.with_pixels(model) is model
    assert models.with_pixels(model, input_range=(0, 1)) is model


@pytest.mark.parametrize(
    "options, words",
    [
        ({"input_range": (255, 0)}, "expected two numbers"),
        ({"std": 0.0}, "above 0"),
        ({"mean": (0.5, 0.5, 0.5)}, "3 numbers.*2 channels"),
        ({"mean": float("nan")}, "one number, or one a channel"),
    ],
)
def test_refusals(options, words):
    model, _, _ = linear_model((2, 2, 2))
    with pytest.raises(ValueError, match=words):
        models.with_pixels(model, **options)


def test_channels_first():
    model, weights, bias = linear_model((3, 2, 4))
    x = images(2, 4, 3)
    found = models.with_channels_last(model)(x)
    expected = np.moveaxis(x, -1, 1).reshape(3, -1) @ weights + bias
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
