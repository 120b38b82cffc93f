"""The parts of an attack: losses, steps, projections, random starts, names."""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.geometry import (
    image_seeds,
    l2_step,
    project,
    sign_step,
    uniform_in_ball,
)
from igam_tf.attacks.losses import cross_entropy, cw_margin

pytestmark = pytest.mark.fast


def test_losses_by_hand():
    logits = tf.constant([[1.0, 3.0, 2.0], [1.0, 3.0, 2.0], [0.0, 90.0, 0.0]])
    labels = tf.constant([0, 1, 0])
    np.testing.assert_allclose(
        cross_entropy(logits, labels), [2.407606, 0.407606, 90.0], rtol=1e-6
    )
    # -(margin + 50), and 0 where another class leads by more than 50.
    np.testing.assert_allclose(cw_margin(logits, labels), [-48.0, -51.0, 0.0])


def test_cw_margin_takes_the_best_wrong_logit_below_zero():
    margin = cw_margin(tf.constant([[-1.0, -7.0, -3.0]]), tf.constant([0]))
    np.testing.assert_allclose(margin, [-52.0])


def test_steps_by_hand():
    gradient = tf.constant([[3.0, -4.0], [0.0, 0.0]])
    np.testing.assert_array_equal(sign_step(gradient), [[1, -1], [0, 0]])
    np.testing.assert_allclose(l2_step(gradient), [[0.6, -0.8], [0, 0]], rtol=1e-6)


def test_l2_step_of_gradients_whose_squares_vanish():
    step = l2_step(tf.constant([[3e-30, -4e-30]]))
    np.testing.assert_allclose(step, [[0.6, -0.8]], rtol=1e-5)


@pytest.mark.parametrize("step", [sign_step, l2_step])
def test_nan_is_not_made_a_zero(step):
    assert np.isnan(step(tf.constant([[float("nan"), 1.0]])).numpy()).any()


def test_projection_by_hand():
    originals = tf.constant([[0.1, 0.5]])
    far = tf.constant([[-0.5, 0.9]])
    np.testing.assert_allclose(
        project(far, originals, 0.2, "linf"), [[0.0, 0.7]], rtol=1e-6
    )
    # Difference (-0.6, 0.4) shortened to 0.3, then clipped at 0.
    x, y = np.array([-0.6, 0.4]) * 0.3 / np.hypot(0.6, 0.4)
    np.testing.assert_allclose(
        project(far, originals, 0.3, "l2"), [[max(0, 0.1 + x), 0.5 + y]], rtol=1e-6
    )
    inside = tf.constant([[0.15, 0.45]])
    np.testing.assert_allclose(project(inside, originals, 0.2, "l2"), inside, rtol=1e-6)
    np.testing.assert_array_equal(project(far, originals, 0.0, "l2"), originals)


def test_starts_are_uniform_in_the_ball():
    images = tf.zeros([4000, 2, 1, 1])
    seeds = tf.constant([3, 4])
    linf = uniform_in_ball(images, seeds, "linf").numpy().reshape(-1, 2)
    assert np.abs(linf).max() <= 1
    np.testing.assert_allclose(linf.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.mean(np.abs(linf) < 0.5), 0.5, atol=0.03)
    l2 = uniform_in_ball(images, seeds, "l2").numpy().reshape(-1, 2)
    radius = np.linalg.norm(l2, axis=1)
    assert radius.max() <= 1 + 1e-6
    # In the plane, radius^2 and the angle are uniform.
    quantiles = np.quantile(radius**2, [0.1, 0.5, 0.9])
    np.testing.assert_allclose(quantiles, [0.1, 0.5, 0.9], atol=0.03)
    angles = np.quantile(np.arctan2(l2[:, 1], l2[:, 0]) / np.pi, [0.25, 0.5, 0.75])
    np.testing.assert_allclose(angles, [-0.5, 0, 0.5], atol=0.06)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_start_of_an_image_depends_on_its_index_alone(norm):
    def starts(seed, first, count):
        seeds = tf.constant(image_seeds(seed, first, count))
        return uniform_in_ball(tf.zeros([count, 4, 4, 3]), seeds, norm)

    whole, part, other = starts(7, 0, 6), starts(7, 3, 2), starts(8, 3, 2)
    np.testing.assert_array_equal(whole[3:5], part)
    assert not np.allclose(part, other)
    assert not np.allclose(whole[0], whole[1])


@pytest.mark.parametrize(
    "value, text",
    [(8 / 255, "8/255"), (2 / 255, "2/255"), (0.15, "0.15"), (0.2, "0.2"), (1, "1")],
)
def test_fraction(value, text):
    assert fraction(value) == text
