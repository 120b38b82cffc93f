"""FAB: the projection onto a hyperplane in a box, and the nearest adversarial image."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net, linear_model

from igam_tf.attacks import FAB, l1
from igam_tf.attacks.fab import nearest_plane
from igam_tf.attacks.geometry import to_hyperplane


def planes(count=200, size=30):
    generator = np.random.default_rng(0)
    points = generator.random((count, size))
    points[:, :5] = points[:, :5].round()
    normals = generator.normal(size=(count, size))
    normals *= generator.choice([1e-12, 1, 1e6], size=(count, 1))
    normals[:, 5:8] = 0
    shares = [-0.8, -0.3, -0.1, -0.01, 0, 0.01, 0.1, 0.3, 0.8]
    shares = generator.choice(shares, size=count)
    return points, normals, shares * np.abs(normals).sum(axis=1)


def slow_projection(point, normal, value, norm):
    """The same by bisection, pixel by pixel, in float64."""
    if value < 0:
        normal, value = -normal, -value
    room = np.where(normal > 0, point, 1 - point)
    if norm == "l1":
        change = np.zeros_like(point)
        for pixel in np.argsort(-np.abs(normal)):
            missing = value - np.abs(normal * change).sum()
            if missing > 0 and normal[pixel]:
                change[pixel] = min(room[pixel], missing / np.abs(normal[pixel]))
        return -np.sign(normal) * change
    speed = 1.0 if norm == "linf" else np.abs(normal) / np.abs(normal).max()
    low, high = 0.0, 1e12
    for _ in range(300):
        push = (low + high) / 2
        gained = (np.abs(normal) * np.minimum(push * speed, room)).sum()
        low, high = (push, high) if gained < value else (low, push)
    return -np.sign(normal) * np.minimum(high * speed, room)


@pytest.mark.parametrize("norm, few", [("linf", 0), ("l2", 0), ("l1", 6), ("l1", 99)])
def test_projection_onto_a_hyperplane_in_the_box(norm, few, monkeypatch):
    # In L1 few weights are sorted, or, where they are not enough, all.
    monkeypatch.setattr(l1, "_FEW", few)
    points, normals, values = planes()
    changes = to_hyperplane(
        *(tf.constant(array, tf.float32) for array in (points, normals, values)), norm
    ).numpy()
    cases = zip(points, normals, values, strict=True)
    expected = np.stack([slow_projection(*case, norm) for case in cases])
    np.testing.assert_allclose(changes, expected, atol=2e-5)
    assert (points + changes).min() >= -1e-6 and (points + changes).max() <= 1 + 1e-6
    reached = values + (normals * expected).sum(axis=1)
    # Some planes are reached, and some miss the box.
    missed = np.abs(reached) > 1e-6 * np.abs(normals).sum(axis=1)
    assert 5 < missed.sum() < 100


def test_few_weights_are_enough_in_l1(monkeypatch):
    """They give the same as all, if all images of the batch reach their planes."""
    points, normals, values = planes(40)
    near = (points, normals, 0.01 * np.abs(normals).sum(axis=1))
    arrays = [tf.constant(array, tf.float32) for array in near]
    every = to_hyperplane(*arrays, "l1").numpy()
    monkeypatch.setattr(l1, "_FEW", 12)
    np.testing.assert_array_equal(to_hyperplane(*arrays, "l1"), every)
    assert (np.count_nonzero(every, axis=1) > 0).all()


def test_the_nearest_plane_of_a_linear_model():
    """Without targets: the class whose boundary is nearest, whatever its lead."""
    model, weights, _ = linear_model((2, 3, 1), num_classes=4)
    images = np.random.default_rng(3).random((9, 2, 3, 1), np.float32)
    labels = np.arange(9, dtype=np.int32) % 4
    leads = model(images).numpy()
    leads -= leads[np.arange(9), labels][:, None]
    normals = weights.T[None] - weights.T[labels][:, None]
    for norm, dual in (("linf", 1), ("l2", 2), ("l1", np.inf)):
        sizes = np.linalg.norm(normals, ord=dual, axis=2)
        distances = np.abs(leads) / np.where(sizes > 0, sizes, 1e-30)
        distances[np.arange(9), labels] = np.inf
        chosen = np.arange(9), distances.argmin(axis=1)
        lead, gradient = nearest_plane(
            model, tf.constant(images), tf.constant(labels), norm, False
        )
        np.testing.assert_allclose(lead, leads[chosen], rtol=1e-4, atol=1e-5)
        flat = gradient.numpy().reshape(9, -1)
        np.testing.assert_allclose(flat, normals[chosen], rtol=1e-4, atol=1e-5)
    assert FAB(eps=0.1, num_targets=0).for_classes(7).passes == (2, 7)
    assert FAB(eps=0.1, num_targets=0).name == "fab"


@pytest.mark.parametrize("norm, order", [("linf", 1), ("l2", 2)])
def test_nearest_image_of_a_linear_model(norm, order):
    model, weights, bias = linear_model((4, 4, 1), num_classes=3)
    generator = np.random.default_rng(1)
    images = generator.uniform(0.35, 0.65, (60, 4, 4, 1)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    leads = logits.max(axis=1, keepdims=True) - logits
    directions = weights[:, labels].T[:, :, None] - weights[None]
    sizes = np.linalg.norm(directions, ord=order, axis=1)
    distances = np.where(sizes > 0, leads / np.maximum(sizes, 1e-9), np.inf)
    truth = distances.min(axis=1)
    attack = FAB(eps=0.01, norm=norm)
    found, distance = attack.nearest(model, images, labels)
    # Within the box: the boundary is nearer than the ends of the interval.
    inside = truth < 0.3
    assert inside.mean() > 0.8
    np.testing.assert_allclose(distance[inside], truth[inside], rtol=0.02)
    assert (distance[inside] >= truth[inside] * (1 - 1e-4)).all()
    assert (model(found).numpy().argmax(axis=1) != labels).all()
    # eps does not matter to `nearest`, and decides which images are broken.
    eps = float(np.median(truth))
    adversarial = FAB(eps=eps, norm=norm)(model, images, labels)
    broken = model(adversarial).numpy().argmax(axis=1) != labels
    clear = np.abs(truth / eps - 1) > 0.03
    np.testing.assert_array_equal(broken[clear], (truth < eps)[clear])


@pytest.mark.parametrize("norm, eps", [("linf", 0.1), ("l2", 0.6)])
def test_broken_images_are_within_eps(norm, eps):
    images, labels = digits()
    images, labels = images[1200:1300], labels[1200:1300]
    adversarial = FAB(eps=eps, norm=norm, num_steps=30)(digits_net(), images, labels)
    change = (adversarial - images).reshape(100, -1)
    size = np.linalg.norm(change, axis=1, ord=np.inf if norm == "linf" else 2)
    broken = digits_net()(adversarial).numpy().argmax(axis=1) != labels
    assert size.max() <= eps + 1e-6
    assert (size[~broken] == 0).all()
    assert 20 < broken.sum() < 95
    found, distance = FAB(eps=eps, norm=norm, num_steps=30).nearest(
        digits_net(), images, labels
    )
    np.testing.assert_array_equal(distance <= eps, broken)
    assert (distance > eps).any() and np.isfinite(distance).all()
    assert (digits_net()(found).numpy().argmax(axis=1) != labels).all()


def test_restarts_start_elsewhere():
    images, labels = digits()
    images, labels = images[1200:1260], labels[1200:1260]
    settings = {"eps": 0.2, "num_steps": 1, "num_targets": 1}
    one = FAB(**settings).nearest(digits_net(), images, labels)[1]
    more = FAB(num_restarts=4, **settings).nearest(digits_net(), images, labels)[1]
    assert (more <= one).all() and (more < one).any()
    assert FAB(num_restarts=2, **settings).random_start
    assert not FAB(**settings).random_start


def test_a_model_without_gradients_is_left_alone():
    flat = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Lambda(tf.stop_gradient),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    images = np.random.default_rng(0).random((8, 4, 4, 1), np.float32)
    labels = flat(images).numpy().argmax(axis=1)
    adversarial = FAB(eps=0.1, num_steps=5)(flat, images, labels)
    np.testing.assert_array_equal(adversarial, images)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_targets": -1}, "num_targets is -1"),
        ({"alpha_max": -1}, "alpha_max is -1"),
        ({"beta": 1.5}, "beta is 1.5"),
        ({"norm": "l3"}, "norm is 'l3'"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        FAB(**{"eps": 0.1, **settings})
