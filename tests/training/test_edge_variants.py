"""EdgeReg's variants: whose gradient looks like the edges."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf.edges import edge_energy
from igam_tf.training import EdgeReg


def rms(values):
    return values / np.sqrt((values**2).mean())


def test_terms_of_a_linear_model_by_hand():
    model, weights, bias = linear_model(shape=(6, 6, 1), seed=1)
    images = np.random.default_rng(0).random((3, 6, 6, 1)).astype(np.float32)
    labels = np.array([0, 1, 1], np.int32)
    energy = edge_energy(tf.constant(images)).numpy()
    logits = images.reshape(3, -1) @ weights + bias
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    own = np.eye(2)[labels]
    # Noise with which class 0 is always the sampled one.
    gumbel = np.array([[1e3, 0.0]] * 3, np.float32)
    gradients = {
        "sampled_logit": np.repeat(weights[None, :, 0], 3, axis=0),
        "loss": (p - own) @ weights.T,
    }
    gradients["saliency"] = np.abs(gradients["sampled_logit"])
    for name, gradient in gradients.items():
        method = EdgeReg(model, gradient_of=name)
        terms, _, _ = method.loss_terms(
            tf.constant(images), tf.constant(labels), (energy, gumbel),
            phase="train", global_batch=tf.constant(3.0),
        )  # fmt: skip
        shaped = rms(gradient.reshape(3, 6, 6, 1)) - rms(energy)
        expected = 10 * (shaped**2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(terms["edges"], expected, rtol=1e-4, err_msg=name)


def test_an_unknown_gradient_is_refused():
    with pytest.raises(ValueError, match="gradient_of.*sampled_logit"):
        EdgeReg(linear_model()[0], gradient_of="logits")


def _images(height, width):
    return np.linspace(0, 1, 2 * height * width, dtype="float32").reshape(
        2, height, width, 1
    )


@pytest.mark.parametrize("size", [(3, 3), (8, 2), (1, 8)])
def test_images_without_room_for_the_blur_are_refused(size):
    message = f"of images of {size[0]}x{size[1]} pixels: expected sides of at least 4"
    with pytest.raises(ValueError, match=f"^EdgeReg {message}"):
        EdgeReg(linear_model(shape=(*size, 1))[0])
    with pytest.raises(ValueError, match=message):
        edge_energy(tf.constant(_images(*size)))


def test_four_pixels_are_enough():
    EdgeReg(linear_model(shape=(4, 4, 1))[0])
    assert np.isfinite(edge_energy(tf.constant(_images(4, 4)))).all()
