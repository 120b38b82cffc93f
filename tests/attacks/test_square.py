"""The Square attack: its schedule, its proposals, and models without gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net

from igam_tf.attacks import APGD, Square
from igam_tf.attacks.geometry import bounds
from igam_tf.attacks.square_patterns import (
    bumps,
    square_sides,
    tiles,
)
from igam_tf.attacks.square_proposals import PROPOSALS, first_point


def test_sides_follow_the_schedule_of_the_paper():
    sides = square_sides(5000, 0.8, 32, 32, "linf")
    # sqrt(p * 1024), p halved after 10, 50, 200, 500, 1000, 2000 and 4000 queries.
    for query, side in [
        (0, 29),
        (10, 29),
        (11, 20),
        (50, 20),
        (51, 14),
        (200, 14),
        (201, 10),
        (500, 10),
        (501, 7),
        (1001, 5),
        (2000, 5),
        (2001, 4),
        (4000, 4),
        (4001, 3),
        (4999, 3),
    ]:
        assert sides[query] == side, query
    assert set(square_sides(5000, 0.8, 32, 32, "l2")) == {29, 21, 15, 11, 7, 5, 3}
    assert square_sides(100, 0.8, 8, 8, "linf").max() == 7
    assert square_sides(100, 1.0, 3, 9, "l2").max() == 3


@pytest.mark.parametrize("norm, order, edge", [("l2", 2, 1 / 5), ("l1", 1, 1 / 17)])
def test_patterns(norm, order, edge):
    for side in range(1, 12):
        pattern = bumps(side, norm)
        assert pattern.shape == (side, side)
        np.testing.assert_allclose((np.abs(pattern) ** order).sum(), 1, rtol=1e-5)
        assert (pattern[: side // 2] > 0).all() and (pattern[side // 2 :] < 0).all()
    pattern = bumps(3, norm)
    np.testing.assert_allclose(pattern[0] / pattern[0, 1], [edge, 1, edge], rtol=1e-6)
    corners, side = tiles(32, 32)
    assert (len(corners), side, corners[0]) == (25, 6, (1, 1))


@pytest.mark.parametrize("shape", [(9, 2), (16, 1), (40, 3), (1, 16), (1, 1)])
def test_images_of_any_shape_have_a_start(shape):
    corners, side = tiles(*shape)
    assert corners and side <= min(shape)
    images = tf.fill((3, *shape, 2), 0.5)
    seeds = tf.constant([[0, 0], [0, 1], [0, 2]])
    for norm, order in (("l2", 2), ("l1", 1)):
        change = (first_point(images, seeds, 0.3, norm) - images).numpy()
        sizes = (np.abs(change) ** order).sum(axis=(1, 2, 3)) ** (1 / order)
        np.testing.assert_allclose(sizes, 0.3, rtol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("shape", [(9, 9, 3), (9, 7, 1)])
def test_a_proposal_changes_squares_within_the_ball(norm, shape):
    generator = np.random.default_rng(0)
    images = tf.constant(generator.uniform(0.4, 0.6, (20, *shape)), tf.float32)
    count = float(np.prod(shape))
    size = {"linf": 0.1, "l2": 0.04 * count**0.5, "l1": 0.04 * count}[norm]
    # A point inside the ball: half as far as allowed.
    change = generator.choice([-0.02, 0.02], (20, *shape))
    state = {
        **bounds(images, size, norm),
        "adversarial": images + tf.constant(change, tf.float32),
    }
    draw = tf.constant(generator.random((20, 5 + shape[-1])), tf.float32)
    pattern = np.zeros(shape[:2], np.float32)
    pattern[:3, :3] = bumps(3, "l1" if norm == "l1" else "l2")
    square = tf.constant(3), tf.constant(pattern)
    new = PROPOSALS[norm](state, draw, square, size).numpy()
    distance = np.abs(new - images).reshape(20, -1)
    if norm != "linf":
        order = {"l2": 2, "l1": 1}[norm]
        sizes = np.linalg.norm(distance, axis=1, ord=order)
        assert sizes.max() <= size * (1 + 1e-5)
        # What the box takes away in L1 is lost, unless the ball is left.
        assert sizes.min() >= size * (1 - 1e-5 if norm == "l2" else 0.9)
        assert new.min() >= 0 and new.max() <= 1
        return
    assert distance.max() <= size + 1e-6
    changed = np.abs(new - state["adversarial"]) > 1e-6
    for image in changed:
        rows = np.flatnonzero(image.any(axis=(1, 2)))
        columns = np.flatnonzero(image.any(axis=(0, 2)))
        assert rows.tolist() == list(range(rows[0], rows[0] + 3))
        assert columns.tolist() == list(range(columns[0], columns[0] + 3))
        assert image.sum() == 9 * shape[-1]


def test_a_proposal_in_l1_by_hand():
    """On a 3x3 image a square is all of it: the pattern's signs, and the projection."""
    images = tf.fill([1, 3, 3, 1], 0.5)
    state = {"images": images, "adversarial": images}
    pattern = np.float32([[0, 0.25, 0], [0, -0.5, 0], [0, -0.25, 0]])
    # No flip, and a sign of -1.
    draw = tf.constant([[0.0, 0, 0, 0, 0, 0.2]])
    square = tf.constant(3), tf.constant(pattern)
    new = PROPOSALS["l1"](state, draw, square, tf.constant(2.0)).numpy()[0, ..., 0]
    # 2 in all: -0.5, 1 and 0.5, of which the box takes a half from the second.
    expected = np.full((3, 3), 0.5)
    expected[:, 1] = [0.0, 1.0, 1.0]
    np.testing.assert_allclose(new, expected, atol=1e-6)
    start = first_point(images, tf.constant([[1, 2]]), tf.constant(0.4), "l1").numpy()
    np.testing.assert_allclose(np.abs(start - 0.5).sum(), 0.4, rtol=1e-4)


@pytest.mark.parametrize("norm, eps", [("linf", 0.12), ("l2", 0.8), ("l1", 4.0)])
def test_breaks_a_model_that_hides_its_gradients(norm, eps):
    images, labels = digits()
    images, labels = images[1200:1240], labels[1200:1240]
    hidden = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Lambda(tf.stop_gradient), digits_net()]
    )

    def standing(attack):
        adversarial = attack(hidden, images, labels)
        change = (adversarial - images).reshape(40, -1)
        order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
        assert np.linalg.norm(change, axis=1, ord=order).max() <= eps + 1e-5
        assert adversarial.min() >= 0 and adversarial.max() <= 1
        return (hidden(adversarial).numpy().argmax(axis=1) == labels).sum()

    settings = {"eps": eps, "norm": norm}
    blind = standing(APGD(num_steps=10, **settings))
    few, many = (standing(Square(num_queries=n, **settings)) for n in (20, 400))
    assert many < few <= blind
    assert many < blind - 5


def test_seed_decides_and_restarts_differ():
    images, labels = digits()
    images, labels = images[1200:1230], labels[1200:1230]

    def attacked(**settings):
        attack = Square(eps=0.1, num_queries=30, **settings)
        return attack(digits_net(), images, labels)

    np.testing.assert_array_equal(attacked(seed=1), attacked(seed=1))
    assert not np.array_equal(attacked(seed=1), attacked(seed=2))
    assert not np.array_equal(attacked(seed=1), attacked(seed=1, num_restarts=2))
