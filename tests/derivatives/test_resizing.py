"""Resizes by matrices: TensorFlow's values, and derivatives that TensorFlow lacks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import gradients, models
from igam_tf.derivatives import resizing


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("method", resizing.METHODS)
def test_values_are_tensorflows(method, antialias):
    rng = np.random.default_rng(0)
    for shape, size in (((7, 5), (16, 9)), ((17, 12), (6, 12)), ((33, 8), (32, 3))):
        images = tf.constant(rng.random((2, *shape, 3)), tf.float32)
        expected = tf.image.resize(images, size, method, antialias=antialias)
        found = resizing.resize(images, size, method=method, antialias=antialias)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_matrices_by_hand():
    # Half-pixel centres: rows of the result lie at -1/4, 1/4, 3/4 and 5/4.
    np.testing.assert_allclose(
        resizing.axis_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    )
    np.testing.assert_allclose(
        resizing.axis_matrix(3, 6, "nearest"), np.repeat(np.eye(3), 2, axis=0)
    )
    np.testing.assert_allclose(
        resizing.axis_matrix(4, 2, "area"), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]
    )


RESIZES = {
    "bilinear": lambda: keras.layers.Resizing(6, 9),
    "nearest": lambda: keras.layers.Resizing(6, 9, interpolation="nearest"),
    "bicubic": lambda: keras.layers.Resizing(6, 9, interpolation="bicubic"),
    "smaller": lambda: keras.layers.Resizing(3, 2, antialias=True),
    "cropped": lambda: keras.layers.Resizing(6, 9, crop_to_aspect_ratio=True),
    # Of sizes that a graph does not know.
    "padded": lambda: keras.layers.Resizing(6, 9, pad_to_aspect_ratio=True),
    "padded, nearest": lambda: keras.layers.Resizing(
        6, 9, interpolation="nearest", pad_to_aspect_ratio=True
    ),
    "upsampling": lambda: keras.layers.UpSampling2D(2, interpolation="bilinear"),
    "lambda": lambda: keras.layers.Lambda(lambda x: tf.image.resize(x, (7, 6))),
    "ours": lambda: models.Resize((6, 9), method="lanczos3"),
}


# XLA compiles no sizes that it does not know, and says so.
MODES = [
    (layer, mode)
    for layer in RESIZES
    for mode in ("eager", "graph", "xla")
    if mode != "xla" or not layer.startswith("padded")
]


@pytest.mark.parametrize(("layer", "mode"), MODES)
def test_gradient_of_an_input_gradient(layer, mode):
    """In a direction of the weights, of a network that is smooth in them."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 2)),
            keras.layers.Conv2D(3, 3, padding="same", activation="tanh"),
            RESIZES[layer](),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    rng = np.random.default_rng(0)
    images = tf.constant(rng.random((3, 4, 4, 2)), tf.float32)
    kernel = model.layers[0].kernel
    direction = rng.standard_normal(kernel.shape).astype("float32")

    def value():
        found = gradients.input_gradient(
            model, images, tf.constant([0, 1, 2]), of="loss"
        )
        return 100.0 * tf.reduce_sum(tf.square(found))

    def derivative():
        with tf.GradientTape() as tape:
            loss = value()
        return tape.gradient(loss, kernel.value)

    if mode != "eager":
        derivative = tf.function(derivative, jit_compile=mode == "xla")
    found = np.sum(derivative() * direction)
    start, ends = kernel.numpy(), []
    for step in (3e-3, -3e-3):
        kernel.assign(start + step * direction)
        ends.append(float(value()))
    assert found == pytest.approx((ends[0] - ends[1]) / 6e-3, rel=2e-2)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("method", ["bilinear", "nearest", "mitchellcubic"])
def test_tensorflows_name_keeps_its_values_and_types(method, dtype):
    images = tf.constant(np.random.default_rng(0).random((2, 5, 6, 2)), dtype)

    def unknown(size):
        spec = tf.TensorSpec([None, None, None, 2], dtype)
        return tf.function(
            lambda x: tf.image.resize(x, size, method), input_signature=[spec]
        )(images)

    for size in ((5, 6), (7, 3)):
        expected = tf.image.resize(images, size, method)
        with resizing.twice_differentiable():
            for found in (tf.image.resize(images, size, method), unknown(size)):
                assert found.dtype == expected.dtype
                np.testing.assert_allclose(
                    *(tf.cast(x, tf.float32) for x in (found, expected)), atol=1e-6
                )


def test_the_original_comes_back():
    original = tf.image.resize
    with resizing.twice_differentiable():
        assert tf.image.resize is not original
    assert tf.image.resize is original


def test_saved_models(tmp_path):
    images = np.random.default_rng(0).random((2, 4, 4, 1)).astype("float32")
    inputs = keras.Input((4, 4, 1))
    layer = keras.Model(inputs, models.Resize((6, 5), method="bicubic")(inputs))
    plain = keras.Model(inputs, resizing.resize(inputs, (6, 5), method="bicubic"))
    for name, model in (("layer", layer), ("plain", plain)):
        model.save(tmp_path / f"{name}.keras")
        loaded = keras.models.load_model(tmp_path / f"{name}.keras")
        np.testing.assert_array_equal(loaded(images), model(images))
    np.testing.assert_array_equal(layer(images), plain(images))


def test_what_cannot_be_resized():
    with pytest.raises(ValueError, match="method='linear'"):
        resizing.resize(tf.zeros([1, 2, 2, 1]), (4, 4), method="linear")
    with pytest.raises(ValueError, match="known height"):
        resizing.resize(keras.Input((None, 2, 1)), (4, 4))
