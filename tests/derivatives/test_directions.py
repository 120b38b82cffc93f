"""Directions: unit vectors, but where there is none; derivatives below the bound."""

import contextlib

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf

from igam_tf import attacks, gradients, models, training
from igam_tf.derivatives import directions


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_direction_and_its_derivative(dtype):
    along = np.array([0.6, 0.0, -0.8])
    norms = np.concatenate([[0.0], np.geomspace(1e-9, 1e9, 2000)])
    values = tf.constant(norms[:, None] * along, dtype)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        found = directions.direction(values, [1], smallest=1e-3)
        length = tf.reduce_sum(found * tf.constant(along, dtype), axis=1)
        sideways = found[:, 1]
    lengths = length.numpy()
    np.testing.assert_allclose(lengths[norms > 1e-2], 1.0, atol=1e-6)
    assert np.abs(lengths[norms < 1e-4]).max() < 1e-7
    # By hand, at the norm of `smallest` itself: half a unit vector.
    half = directions.direction(tf.constant([[1e-3]], dtype), [1], smallest=1e-3)
    assert float(half[0, 0]) == pytest.approx(0.5, rel=1e-5)
    steepest = np.abs(tape.gradient(length, values).numpy() @ along)
    assert np.isfinite(steepest).all() and steepest[0] == 0
    assert 1.9 < steepest.max() * 1e-3 < directions.STEEPEST
    across = np.abs(tape.gradient(sideways, values).numpy()[:, 1])
    assert across.max() * 1e-3 < 0.69


@pytest.mark.parametrize("name", ["standardize", "zero_mean_unit_norm", "unit_norm"])
def test_images_of_one_color_are_seen_as_zero(name):
    normalize = models.NORMALIZATIONS[name]
    colors = np.array([0.0, 0.5, 1.0, 0.3], "float32")
    images = tf.constant(np.broadcast_to(colors[:, None, None, None], (4, 8, 8, 3)))
    with tf.GradientTape() as tape:
        tape.watch(images)
        seen = normalize(images)
    derivative = tape.gradient(
        seen, images, tf.constant(np.eye(8)[None, ..., None] + 0.0 * images)
    )
    # Of `unit_norm`, which keeps the mean, only black has no direction.
    vanishing = slice(0, 1) if name == "unit_norm" else slice(None)
    np.testing.assert_allclose(seen[vanishing], 0.0, atol=1e-6)
    assert np.abs(derivative).max() < 255 * directions.STEEPEST


def test_usual_images_are_normalized_as_before():
    images = np.random.default_rng(0).random((3, 8, 8, 3)).astype("float32")
    grey = 255.0 * images.astype("float64")
    centred = grey - grey.mean(axis=(1, 2, 3), keepdims=True)
    norm = np.sqrt(np.square(centred).sum(axis=(1, 2, 3), keepdims=True))
    found = models.NORMALIZATIONS["zero_mean_unit_norm"](images)
    np.testing.assert_allclose(found, centred / norm, atol=1e-6)
    found = models.NORMALIZATIONS["standardize"](images)
    np.testing.assert_allclose(found, centred / norm * np.sqrt(192), atol=1e-5)


def test_cosine_has_a_finite_derivative_where_a_gradient_vanishes():
    zeros, ones = tf.zeros([1, 2, 2, 1]), tf.ones([1, 2, 2, 1])
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        cosine = gradients.per_image_cosine(zeros, ones)
    assert np.isfinite(tape.gradient(cosine, zeros)).all()


def _method(name, student):
    shape = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
    teacher = models.small_cnn(num_classes=3, name="teacher", **shape)
    discriminator = models.discriminator(gradient_shape=(8, 8, 1), channels=(4, 8))
    if name == "igam":
        return training.IGAM(student, teacher, discriminator, discriminator_every=1)
    if name == "igam_of_0_1":
        return training.IGAM(student, teacher, discriminator, pixel_range=1.0)
    if name == "jarn":
        return training.JARN(student, discriminator, discriminator_every=1)
    if name == "kdiga":
        return training.KDIGA(student, teacher)
    if name == "pag":
        return training.PAG(
            student,
            lambda images, labels: (
                tf.ones_like(images)[:, None] - tf.zeros([1, 3, 1, 1, 1])
            ),
        )
    return {"edges": training.EdgeReg, "gradient_norm": training.GradNorm}[name](
        student
    )


METHODS = ("igam", "igam_of_0_1", "jarn", "kdiga", "pag", "edges", "gradient_norm")


def _check(method, images):
    labels = np.arange(len(images)) % 3
    method.compile(keras.optimizers.SGD(0.05))
    # PAG's step takes longer without a trace: it traces a Jacobian each time.
    traced = isinstance(method, training.PAG)
    with contextlib.nullcontext() if traced else small_models.eagerly():
        history = method.fit(
            images, labels, batch_size=8, epochs=4, shuffle=False, verbose=0
        ).history
    assert np.abs(history["loss"]).max() < 1e3, history["loss"]
    assert all(np.isfinite(w).all() for w in method.get_weights())


@pytest.mark.parametrize("name", METHODS)
def test_a_network_whose_gradient_is_exactly_zero(name):
    keras.utils.set_random_seed(0)
    student = models.small_cnn(
        num_classes=3, image_shape=(8, 8, 1), filters=(4, 4), hidden_units=8,
        activation="gelu",
    )  # fmt: skip
    kernel = student.layers[-1].kernel
    kernel.assign(np.zeros(kernel.shape))
    images = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
    _check(_method(name, student), images)


@pytest.mark.parametrize("normalization", ["zero_mean_unit_norm", "standardize"])
@pytest.mark.parametrize("name", ("igam", "jarn", "edges", "gradient_norm", "pag"))
def test_images_of_one_color_among_others(name, normalization):
    keras.utils.set_random_seed(0)
    student = models.conv_net(
        num_classes=3, image_shape=(8, 8, 1), normalization=normalization
    )
    images = np.random.default_rng(0).random((16, 8, 8, 1)).astype("float32")
    for place, color in ((1, 0.0), (6, 1.0), (9, 0.5)):
        images[place] = color
    _check(_method(name, student), images)


def test_an_attack_of_a_network_without_contrast():
    """Attacks see the same normalisation; their gradient is zero, not NaN."""
    student = models.conv_net(num_classes=3, image_shape=(8, 8, 1))
    images = np.full((2, 8, 8, 1), 0.5, "float32")
    found = attacks.fgsm(eps=0.1)(student, images, np.array([0, 1]))
    assert np.isfinite(found).all()
