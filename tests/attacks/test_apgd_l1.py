"""APGD in L1: schedule, steps, checkpoints by hand, and the truth of linear models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model
from test_l1 import greedy

from igam_tf.attacks import APGD, FAB, apgd_l1


def test_schedule_by_hand():
    """Ten steps: three in the ball of 3 eps, an entry, three, an entry, and four."""
    assert apgd_l1.steps_in_balls(100) == (30, 30, 40)
    assert apgd_l1.steps_in_balls(3) == (1, 1, 1)
    found = apgd_l1.schedule(10)
    assert found["radii"].tolist() == [3] * 3 + [2] * 4 + [1] * 5
    assert np.flatnonzero(found["enters"]).tolist() == [3, 7]
    assert np.flatnonzero(found["is_last_ball"]).tolist() == [7, 8, 9, 10, 11]
    assert found["ends_window"].all()
    # 4 % of 60 and of 80 steps: a checkpoint after each two, and each three.
    ends = apgd_l1.schedule(200)["ends_window"]
    assert np.flatnonzero(ends[:60]).tolist() == list(range(1, 60, 2))
    assert np.flatnonzero(ends[122:]).tolist() == list(range(2, 80, 3))
    attack = APGD(eps=12, norm="l1")
    np.testing.assert_array_equal(attack.numbers["radii"][[0, 30, 61]], [36, 24, 12])
    # Nothing is dropped before the smallest ball has been entered.
    assert attack.chunks()[:8] == [10, 20, 30, 40, 50, 60, 62, 64]
    assert attack.chunks()[-1] == 102
    assert attack.image_passes() == (103, 103)


def row(*values):
    return tf.constant(np.float32(values).reshape(1, 1, -1, 1))


def test_a_step_by_hand():
    """Two of three changed values move: those of the largest gradients."""
    state = {
        "images": row(0.5, 0.5, 0.5, 0.5),
        "adversarial": row(0.7, 0.5, 0.5, 0.5),
        "gradient": row(0.1, -3.0, 2.0, 0.0),
        "num_changed": tf.constant([3]),
        "step_size": tf.constant([0.4]),
    }
    moved = apgd_l1._moved(state, tf.constant(1.0)).numpy().ravel()
    np.testing.assert_allclose(moved, [0.7, 0.3, 0.7, 0.5], atol=1e-6)
    # In a smaller ball each of the three changes shrinks by a third of the surplus.
    moved = apgd_l1._moved(state, tf.constant(0.45)).numpy().ravel()
    np.testing.assert_allclose(moved, [0.65, 0.35, 0.65, 0.5], atol=1e-6)
    kept = apgd_l1._num_kept(tf.constant([0, 1, 2, 3, 4, 6])).numpy()
    assert kept.tolist() == [1, 1, 2, 2, 3, 4]
    # A gradient of zero gives no step, and NaN stays NaN.
    state["gradient"] = row(0, 0, 0, 0)
    np.testing.assert_array_equal(apgd_l1._moved(state, 1.0), state["adversarial"])
    state["gradient"] = row(1, np.nan, 0, 0)
    assert np.isnan(apgd_l1._moved(state, 1.0)).any()


def test_a_checkpoint_by_hand():
    """Three images that have changed 4 values before, and now 3, 4, and 4 too."""
    best = np.full((3, 1, 4, 1), 0.6, np.float32)
    best[0, 0, 0, 0] = 0.5
    state = {
        "images": tf.fill([3, 1, 4, 1], 0.5),
        "best": tf.constant(best),
        "best_gradient": tf.ones([3, 1, 4, 1]),
        "adversarial": tf.zeros([3, 1, 4, 1]),
        "gradient": tf.zeros([3, 1, 4, 1]),
        "num_changed": tf.constant([4, 4, 4]),
        "step_size": tf.constant([0.3, 0.3, 0.12]),
    }
    found = apgd_l1._checkpoint(state, tf.constant(1.0), tf.constant(False))
    assert found["num_changed"].numpy().tolist() == [3, 4, 4]
    # Sparser: the whole radius again. Else two thirds, and a tenth of it at least.
    np.testing.assert_allclose(found["step_size"], [1.0, 0.2, 0.1])
    assert found["adversarial"].numpy()[:, 0, 1, 0].tolist() == [
        pytest.approx(0.6), 0, 0
    ]  # fmt: skip
    assert found["gradient"].numpy()[:, 0, 0, 0].tolist() == [1, 0, 0]


def linear_case(num_classes, count):
    """Images near grey of a linear model, and each one's smallest L1 distance."""
    model, weights, bias = linear_model((4, 5, 1), num_classes=num_classes)
    images = np.random.default_rng(2).uniform(0.35, 0.65, (count, 4, 5, 1))
    images = images.astype(np.float32)
    labels = model(images).numpy().argmax(axis=1).astype(np.int32)
    distances = []
    for image, label in zip(images.reshape(count, -1), labels, strict=True):
        toward = weights - weights[:, [label]]
        leads = image @ toward + bias - bias[label]
        sizes = [
            nearest(image, toward[:, other], leads[other])
            for other in range(num_classes)
            if other != label
        ]
        distances.append(min(sizes))
    return model, images, labels, np.array(distances)


def nearest(image, weights, lead):
    """The eps at which the greedy change of `test_l1` makes up for the lead."""
    low, high = 0.0, float(image.size)
    for _ in range(50):
        eps = (low + high) / 2
        gained = weights @ greedy(weights, image, eps)
        low, high = (eps, high) if lead + gained < 0 else (low, eps)
    return high


def test_robust_accuracy_of_a_linear_model():
    model, images, labels, distances = linear_case(2, 60)
    eps = float(np.median(distances))
    adversarial = APGD(eps=eps, norm="l1")(model, images, labels)
    size = np.abs(adversarial - images).sum(axis=(1, 2, 3))
    assert size.max() <= eps * (1 + 1e-5)
    assert adversarial.min() >= 0 and adversarial.max() <= 1
    stands = model(adversarial).numpy().argmax(axis=1) == labels
    assert stands[distances > 1.001 * eps].all()
    # The worst case changes one value; two that move by the same come near it.
    near = distances < 0.75 * eps
    assert near.sum() > 15 and not stands[near].any()


def test_fab_without_targets_finds_the_nearest_image_of_a_linear_model():
    model, images, labels, distances = linear_case(5, 60)
    attack = FAB(eps=0.01, norm="l1", num_targets=0)
    found, distance = attack.nearest(model, images, labels)
    inside = distances < 0.3
    assert inside.sum() > 40
    np.testing.assert_allclose(distance[inside], distances[inside], rtol=0.02)
    assert (model(found).numpy().argmax(axis=1) != labels).all()


def broken_at_zero(distance):
    """A model whose input gradient is NaN where a distance of its images is 0."""
    root = keras.layers.Lambda(lambda x: keras.ops.sqrt(keras.ops.square(distance(x))))
    flat = [keras.layers.Flatten(), keras.layers.Dense(3)]
    return keras.Sequential([keras.Input((2, 2, 1)), root, *flat])


@pytest.mark.parametrize(
    "attack, distance",
    [
        # It starts at a random point.
        (APGD(eps=1.0, norm="l1", num_steps=5), lambda x: 0 * x),
        (FAB(eps=1.0, norm="l1", num_targets=0, num_steps=5), lambda x: x - 0.5),
    ],
    ids=["apgd", "fab"],
)
def test_nan_does_not_pass_for_robustness(attack, distance):
    broken = broken_at_zero(distance)
    images = np.full((4, 2, 2, 1), 0.5, np.float32)
    labels = broken(images).numpy().argmax(axis=1)
    with pytest.raises(ValueError, match="met NaN at 4 of 4 images"):
        attack(broken, images, labels)
