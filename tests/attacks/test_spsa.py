"""SPSA: a gradient from outputs, of models with and without one, in both norms."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net, linear_model

from igam_tf import attacks
from igam_tf.attacks import SPSA

HIDDEN = keras.Sequential([keras.layers.Lambda(tf.stop_gradient), digits_net()])


def batch(count=40):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def right(model, images, labels):
    return model(images).numpy().argmax(axis=1) == labels


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 0.5)])
def test_it_finds_what_the_gradient_finds(norm, eps):
    """On a model that hides its gradient, next to APGD on the same without a mask."""
    images, labels = batch()
    gradient = attacks.APGD(eps=eps, norm=norm, loss="dlr_targeted", num_steps=40)
    known = right(digits_net(), gradient(digits_net(), images, labels), labels)
    assert right(HIDDEN, gradient(HIDDEN, images, labels), labels).sum() > 30
    adversarial = SPSA(eps=eps, norm=norm)(HIDDEN, images, labels)
    found = right(HIDDEN, adversarial, labels)
    assert known.sum() <= found.sum() <= known.sum() + 3
    targeted = SPSA(eps=eps, norm=norm, num_targets=3)(HIDDEN, images, labels)
    both = found & right(HIDDEN, targeted, labels)
    assert abs(int(both.sum()) - int(known.sum())) <= 2
    change = (adversarial - images).reshape(len(images), -1)
    order = np.inf if norm == "linf" else 2
    assert np.linalg.norm(change, axis=1, ord=order).max() <= eps + 1e-5
    assert adversarial.min() >= 0 and adversarial.max() <= 1


def test_the_estimate_is_the_gradient():
    """Of a linear margin, whose slope is known, up to the noise of the draws."""
    model, weights, _ = linear_model(shape=(4, 4, 1), num_classes=2)
    images = tf.fill([3, 4, 4, 1], 0.5)
    labels = tf.constant([0, 1, 0])
    attack = SPSA(eps=0.2, num_samples=4000)
    start = {
        "images": images,
        "labels": labels,
        "targets": labels,
        "seeds": tf.constant([[0, 0], [0, 1], [0, 2]]),
    }
    numbers = {name: tf.constant(value) for name, value in attack.numbers.items()}

    @tf.function
    def slope_at(start):
        state = attack.begin(model, start, numbers, False)
        return attack._slope(model, state, 0, numbers, False)

    slope = slope_at(start).numpy().reshape(3, -1)
    to_one = weights[:, 1] - weights[:, 0]
    for found, sign in zip(slope, (1, -1, 1), strict=True):
        assert abs(np.abs(found).mean() - 1) < 1e-5
        cosine = (
            found @ (sign * to_one) / np.linalg.norm(found) / np.linalg.norm(to_one)
        )
        # Noise of sqrt(16 / 4000) of its length, at right angles.
        assert cosine > 0.99


def test_passes_are_counted_and_seeds_decide():
    images, labels = batch(6)
    attack = SPSA(eps=0.02, num_steps=3, num_samples=4)
    # A query at the start; eight and one at each step.
    assert attack.image_passes() == (28, 0)
    first = attack(digits_net(), images, labels)
    np.testing.assert_array_equal(first, attack(digits_net(), images, labels))
    # An image's result does not depend on its batch, up to rounding.
    alone = attack(digits_net(), images[4:5], labels[4:5], first_index=4)
    assert np.isclose(alone, first[4:5], atol=1e-5).mean() > 0.9
    other = SPSA(eps=0.02, num_steps=3, num_samples=4, seed=1)
    assert not np.array_equal(first, other(digits_net(), images, labels))


def test_fewer_classes_than_targets():
    model, _, _ = linear_model(shape=(4, 4, 1), num_classes=3)
    images = np.full((2, 4, 4, 1), 0.5, np.float32)
    attack = SPSA(eps=0.3, num_steps=2, num_samples=2, num_targets=9)
    assert len(attack.for_classes(3).runs()) == 2
    labels = model(images).numpy().argmax(axis=1)
    assert attack(model, images, labels).shape == images.shape


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"eps": 2.0}, "eps"),
        ({"num_samples": 0}, "num_samples"),
        ({"delta": 3.0}, "delta"),
    ]
    + [({"norm": "l1"}, "norm"), ({"num_targets": -1}, "num_targets")],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        SPSA(**{"eps": 0.1, **settings})
