"""Input gradients against finite differences in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import gradients, models

pytestmark = pytest.mark.fast


@pytest.fixture(name="float64")
def _float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def _network():
    return models.small_cnn(
        num_classes=3, image_shape=(4, 4, 2), filters=(3, 4), hidden_units=5,
        activation="gelu",
    )  # fmt: skip


def _batch(dtype="float64"):
    rng = np.random.default_rng(0)
    return tf.constant(rng.random((3, 4, 4, 2)), dtype), tf.constant([0, 2, 1])


def _objective(model, images, labels, of):
    probabilities = keras.ops.softmax(model(images))
    true = tf.gather(probabilities, labels, axis=1, batch_dims=1)
    return (true if of == "probability" else -tf.math.log(true)).numpy()


@pytest.mark.parametrize("of", gradients.OBJECTIVES)
def test_input_gradient_equals_finite_differences(float64, of):
    model, (images, labels) = _network(), _batch()
    gradient = gradients.input_gradient(model, images, labels, of=of).numpy()
    step = 1e-6
    for index in [(0, 0, 0), (1, 2, 1), (3, 3, 0)]:
        moved = images.numpy()
        moved[(slice(None), *index)] += step
        up = _objective(model, tf.constant(moved), labels, of)
        moved[(slice(None), *index)] -= 2 * step
        down = _objective(model, tf.constant(moved), labels, of)
        expected = (up - down) / (2 * step)
        np.testing.assert_allclose(
            gradient[(slice(None), *index)], expected, rtol=1e-6, atol=1e-10
        )


def test_nested_gradient_equals_finite_differences(float64):
    """The derivative of a function of the input gradient w.r.t. the weights."""
    model, (images, labels) = _network(), _batch()

    def matching_loss():
        gradient = gradients.input_gradient(model, images, labels)
        return tf.reduce_sum(tf.square(gradient - 0.1))

    kernel = model.get_layer("conv2").kernel
    with tf.GradientTape() as tape:
        loss = matching_loss()
    nested = tape.gradient(loss, kernel.value).numpy()
    value, step = kernel.numpy(), 1e-5
    for index in [(0, 0, 0, 0), (1, 2, 1, 3), (2, 1, 2, 2)]:
        losses = []
        for sign in (1, -1):
            moved = value.copy()
            moved[index] += sign * step
            kernel.assign(moved)
            losses.append(float(matching_loss()))
        expected = (losses[0] - losses[1]) / (2 * step)
        np.testing.assert_allclose(nested[index], expected, rtol=1e-5, atol=1e-9)


def test_each_image_has_its_own_gradient():
    model, (images, labels) = _network(), _batch("float32")
    together = gradients.input_gradient(model, images, labels)
    alone = gradients.input_gradient(model, images[1:2], labels[1:2])
    np.testing.assert_allclose(together[1:2], alone, rtol=1e-5, atol=1e-8)


def test_loss_and_probability_are_parallel():
    """d CE = -d p / p: the same direction, another length."""
    model, (images, labels) = _network(), _batch("float32")
    of_loss = gradients.input_gradient(model, images, labels, of="loss")
    of_probability = gradients.input_gradient(model, images, labels)
    cosine = gradients.per_image_cosine(of_loss, of_probability)
    np.testing.assert_allclose(cosine, -1.0, atol=1e-5)


def test_cosine_of_a_vanishing_gradient_is_zero():
    zeros, ones = tf.zeros([2, 3, 3, 1]), tf.ones([2, 3, 3, 1])
    np.testing.assert_array_equal(gradients.per_image_cosine(zeros, ones), [0.0, 0.0])


def test_unknown_objective():
    model, (images, labels) = _network(), _batch("float32")
    with pytest.raises(ValueError, match="of='probability'"):
        gradients.input_gradient(model, images, labels, of="logit")


def test_grey_levels_are_refused():
    images = np.zeros((1, 4, 4, 2), "uint8")
    with pytest.raises(ValueError, match="images are uint8: expected float32"):
        gradients.input_gradient(_network(), images, tf.constant([0]))
