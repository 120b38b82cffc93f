"""The Square attack: its schedule, its proposals, and models without gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net

from igam_tf.attacks import APGD, Square
from igam_tf.attacks.geometry import bounds
from igam_tf.attacks.square import _propose_l2, _propose_linf
from igam_tf.attacks.square_patterns import (
    l2_pattern,
    l2_tiles,
    square_sides,
)


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


def test_l2_patterns():
    for side in range(1, 12):
        pattern = l2_pattern(side)
        assert pattern.shape == (side, side)
        np.testing.assert_allclose(np.square(pattern).sum(), 1, rtol=1e-5)
        assert (pattern[: side // 2] > 0).all() and (pattern[side // 2 :] < 0).all()
    np.testing.assert_allclose(l2_pattern(3)[0] / l2_pattern(3)[0, 1], [0.2, 1, 0.2])
    corners, side = l2_tiles(32, 32)
    assert (len(corners), side, corners[0]) == (25, 6, (1, 1))


@pytest.mark.parametrize(
    "norm, propose", [("linf", _propose_linf), ("l2", _propose_l2)]
)
@pytest.mark.parametrize("shape", [(9, 9, 3), (9, 7, 1)])
def test_a_proposal_changes_squares_within_the_ball(norm, propose, shape):
    generator = np.random.default_rng(0)
    images = tf.constant(generator.uniform(0.4, 0.6, (20, *shape)), tf.float32)
    size = 0.1 if norm == "linf" else 0.04 * float(np.sqrt(np.prod(shape)))
    # A point inside the ball: half as far as allowed.
    change = generator.choice([-0.02, 0.02], (20, *shape))
    state = {
        **bounds(images, size, norm),
        "adversarial": images + tf.constant(change, tf.float32),
    }
    draw = tf.constant(generator.random((20, 5 + shape[-1])), tf.float32)
    pattern = np.zeros(shape[:2], np.float32)
    pattern[:3, :3] = l2_pattern(3)
    square = tf.constant(3), tf.constant(pattern)
    new = propose(state, draw, square, size).numpy()
    distance = np.abs(new - images).reshape(20, -1)
    if norm == "l2":
        np.testing.assert_allclose(np.linalg.norm(distance, axis=1), size, rtol=1e-5)
        return
    assert distance.max() <= size + 1e-6
    changed = np.abs(new - state["adversarial"]) > 1e-6
    for image in changed:
        rows = np.flatnonzero(image.any(axis=(1, 2)))
        columns = np.flatnonzero(image.any(axis=(0, 2)))
        assert rows.tolist() == list(range(rows[0], rows[0] + 3))
        assert columns.tolist() == list(range(columns[0], columns[0] + 3))
        assert image.sum() == 9 * shape[-1]


@pytest.mark.parametrize("norm, eps", [("linf", 0.12), ("l2", 0.8)])
def test_breaks_a_model_that_hides_its_gradients(norm, eps):
    images, labels = digits()
    images, labels = images[1200:1240], labels[1200:1240]
    hidden = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Lambda(tf.stop_gradient), digits_net()]
    )

    def standing(attack):
        adversarial = attack(hidden, images, labels)
        change = (adversarial - images).reshape(40, -1)
        order = np.inf if norm == "linf" else 2
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
