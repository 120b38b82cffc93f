"""The projection onto an L1 ball in the box, against a slow one in float64."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf.attacks import fgsm, pgd
from igam_tf.attacks.geometry import lengths, project
from igam_tf.attacks.l1 import l1_step, uniform_l1

pytestmark = pytest.mark.fast


def cases(count=300, size=20):
    generator = np.random.default_rng(0)
    originals = generator.random((count, 4, size // 4, 1))
    originals.reshape(count, -1)[:, :4] = originals.reshape(count, -1)[:, :4].round()
    scale = generator.choice([0.01, 0.3, 3.0, 100.0], size=(count, 1, 1, 1))
    changes = scale * generator.normal(size=originals.shape)
    changes.reshape(count, -1)[:, 5:8] = 0.2
    eps = generator.choice([0.0, 0.01, 0.5, 2.0, 20.0], size=(count, 1, 1, 1))
    return [np.float32(array) for array in (originals + changes, originals, eps)]


def slow_projection(image, original, eps):
    """The threshold by bisection, in float64."""
    change = (image - original).astype(np.float64)
    room = np.where(change > 0, 1.0 - original, original)

    def left(threshold):
        return np.clip(np.abs(change) - threshold, 0, room)

    low, high = 0.0, np.abs(change).max()
    if left(0).sum() <= eps:
        high = 0.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle).sum() > eps else (low, middle)
    return original + np.sign(change) * left(high)


def test_projection_against_a_slow_one():
    images, originals, eps = cases()
    found = project(*map(tf.constant, (images, originals, eps)), "l1").numpy()
    expected = np.stack(
        [slow_projection(*case) for case in zip(images, originals, eps)]
    )
    np.testing.assert_allclose(found, expected, atol=5e-5)
    sizes = lengths(tf.constant(found - originals), "l1").numpy()
    assert (sizes <= eps * (1 + 1e-5) + 1e-6).all()
    assert found.min() >= 0 and found.max() <= 1
    # Some lie inside of the ball already, and of the others each uses all of eps.
    clipped = lengths(tf.constant(np.clip(images, 0, 1) - originals), "l1").numpy()
    is_outside = clipped > eps
    assert 20 < is_outside.sum() < 280
    np.testing.assert_allclose(sizes[is_outside], eps[is_outside], rtol=1e-4, atol=5e-5)


def test_no_allowed_image_is_nearer():
    """What defines a projection, on random images of the ball and the box."""
    images, originals, eps = cases(40)
    found = project(*map(tf.constant, (images, originals, eps)), "l1").numpy()
    generator = np.random.default_rng(1)
    for _ in range(50):
        others = np.clip(originals + generator.laplace(size=images.shape) / 10, 0, 1)
        size = np.abs(others - originals).sum(axis=(1, 2, 3), keepdims=True)
        others = originals + (others - originals) * np.minimum(1, eps / size)
        gap = ((others - images) ** 2).sum(axis=(1, 2, 3))
        mine = ((found - images) ** 2).sum(axis=(1, 2, 3))
        assert (mine <= gap * (1 + 1e-5) + 1e-5).all()


def test_a_projection_by_hand():
    """Three pixels of grey; the second would leave the box, and is cut to its room."""
    original = np.full((1, 1, 3, 1), 0.5, np.float32)
    image = original + np.float32([0.3, 2.0, -0.1]).reshape(1, 1, 3, 1)
    # Room is 0.5. With eps 0.7: 0.5 + (0.3 - 0.1) + 0, threshold 0.1.
    found = project(tf.constant(image), tf.constant(original), 0.7, "l1").numpy()
    np.testing.assert_allclose(found.ravel(), [0.7, 1.0, 0.5], atol=1e-6)


def test_a_step_by_hand():
    """Of 40 values two move, in proportion; where there is one gradient, by itself."""
    gradient = np.zeros((3, 4, 10, 1), np.float32)
    gradient[0].ravel()[:4] = [2, -3, 1, 0.1]
    gradient[1].ravel()[7] = -1e-20
    grey = np.full_like(gradient, 0.5)
    step = l1_step(tf.constant(gradient), tf.constant(grey)).numpy().reshape(3, -1)
    np.testing.assert_allclose(step[0, :5], [0.4, -0.6, 0, 0, 0])
    np.testing.assert_allclose([step[1, 7], step[1].sum(), step[2].sum()], [-1, -1, 0])
    # At a wall, the next one moves in its place, and what it would gain stays pushed.
    grey[0].ravel()[1] = 0.0
    step = l1_step(tf.constant(gradient), tf.constant(grey)).numpy().reshape(3, -1)
    np.testing.assert_allclose(step[0, :5], [2 / 3, -1, 1 / 3, 0, 0], rtol=1e-6)


def test_uniform_in_the_unit_ball():
    """In d dimensions the radius to the power of d is uniform, the signs are even."""
    points = uniform_l1((4000, 3), tf.constant([1, 2])).numpy()
    radius = np.abs(points).sum(axis=1)
    assert radius.max() <= 1
    np.testing.assert_allclose(np.mean(radius**3), 0.5, atol=0.03)
    np.testing.assert_allclose((points > 0).mean(axis=0), 0.5, atol=0.04)
    np.testing.assert_allclose(np.abs(points).mean(axis=0), 1 / 4, atol=0.02)


def greedy(weights, image, eps):
    """The worst change of a linear lead: the steepest pixels to the end of the box."""
    change = np.zeros_like(image)
    for pixel in np.argsort(-np.abs(weights)):
        room = 1 - image[pixel] if weights[pixel] > 0 else image[pixel]
        taken = min(room, eps - np.abs(change).sum())
        change[pixel] = np.sign(weights[pixel]) * taken
    return change


def test_pgd_reaches_the_worst_case_of_a_linear_model():
    """In a ball so large that several pixels meet the box."""
    model, weights, _ = linear_model((4, 5, 1))
    images = np.random.default_rng(2).random((12, 4, 5, 1), np.float32)
    labels = model(images).numpy().argmax(axis=1).astype(np.int32)
    eps = 1.5
    attack = pgd(eps=eps, norm="l1", num_steps=100, loss="cw_margin")
    found = attack(model, images, labels)
    changes = (found - images).reshape(12, -1)
    assert (np.abs(changes).sum(axis=1) <= eps * (1 + 1e-5)).all()
    toward = [weights[:, 1 - label] - weights[:, label] for label in labels]
    gained = np.array([w @ change for w, change in zip(toward, changes, strict=True)])
    most = np.array(
        [w @ greedy(w, x, eps) for w, x in zip(toward, images.reshape(12, -1),
                                               strict=True)]
    )  # fmt: skip
    assert (gained <= most * (1 + 1e-4)).all()
    np.testing.assert_allclose(gained, most, rtol=0.03)
    one_step = (fgsm(eps=eps, norm="l1")(model, images, labels) - images).reshape(
        12, -1
    )
    assert (np.abs(one_step).sum(axis=1) <= eps * (1 + 1e-5)).all()
    assert (np.abs(one_step).max(axis=1) > 0).all()
