"""Targeted PGD on a linear model, where what can be reached is known."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

import igam_tf
from igam_tf.attacks import TargetedPGD, parse, pgd
from igam_tf.evaluation import success_rates

EPS = 0.06


def case(count=40):
    """Model, images, labels (right when clean), and what a Linf ball reaches.

    At the ball's corner that raises the lead of class t over y most, t wins over y; it
    wins over a third class as well only where its logit is the largest there.
    """
    model, weights, bias = linear_model((3, 4, 1), num_classes=3)
    images = np.random.default_rng(5).uniform(0.3, 0.7, (count, 3, 4, 1))
    images = images.astype(np.float32)
    flat = images.reshape(count, -1)
    labels = (flat @ weights + bias).argmax(axis=1).astype(np.int32)
    return model, weights, bias, images, labels


def corner_reaches(weights, bias, images, labels, target):
    """Whether the corner of the lead of `target` over the true class is `target`."""
    flat = images.reshape(len(images), -1)
    change = EPS * np.sign(weights[:, [target]] - weights[:, labels]).T
    return ((flat + change) @ weights + bias).argmax(axis=1) == target


def test_what_is_reached_is_what_the_corner_reaches():
    model, weights, bias, images, labels = case()
    attack = pgd(eps=EPS, num_steps=10, loss="cw_margin", targets="all")
    found = attack.reach(model, images, labels)
    assert found.targets.tolist() == [0, 1, 2]
    for target in range(3):
        expected = corner_reaches(weights, bias, images, labels, target)
        expected &= labels != target
        np.testing.assert_array_equal(found.reached[:, target], expected)
    assert 3 < found.reached.any(axis=1).sum() < 40
    # The worst case of each is one that was reached.
    classes = model(found.adversarial).numpy().argmax(axis=1)
    np.testing.assert_array_equal(classes != labels, found.reached.any(axis=1))
    assert np.abs(found.adversarial - images).max() <= EPS + 1e-6
    # The call is the same, and so is the loop that an export or a training takes.
    np.testing.assert_array_equal(attack(model, images, labels), found.adversarial)
    seeds = tf.constant([[0, place] for place in range(40)])
    whole = tf.function(
        lambda images, labels: attack.perturb(model, images, labels, seed=seeds)
    )(tf.constant(images), tf.constant(labels))
    np.testing.assert_allclose(whole, found.adversarial, atol=1e-6)


def test_chosen_classes_and_restarts():
    """One target of two is what "all" finds of it, and another start adds to it."""
    model, _, _, images, labels = case()
    settings = {"eps": EPS, "num_steps": 10, "loss": "cw_margin"}
    every = pgd(targets="all", **settings).reach(model, images, labels)
    for targets in (2, [2], [2, 0]):
        found = pgd(targets=targets, **settings).reach(model, images, labels)
        np.testing.assert_array_equal(found.reached[:, 0], every.reached[:, 2])
    short = {**settings, "num_steps": 1, "step_size": EPS / 2}
    one = pgd(targets=1, **short).reach(model, images, labels).reached
    more = pgd(targets=1, num_restarts=5, **short).reach(model, images, labels).reached
    assert (more >= one).all() and more.sum() > one.sum()


def test_an_image_is_not_attacked_towards_its_own_class():
    model, _, _, images, labels = case()
    found = pgd(eps=EPS, targets=1).reach(model, images, labels)
    own = labels == 1
    assert own.sum() > 3
    np.testing.assert_array_equal(found.adversarial[own], images[own])
    assert not found.reached[own].any()


def test_an_evaluation_tells_every_pair():
    model, weights, bias, images, labels = case()
    labels = labels.copy()
    labels[:4] = (labels[:4] + 1) % 3
    result = igam_tf.evaluate(
        model,
        (images, labels),
        attacks=["clean", pgd(eps=EPS, num_steps=10, loss="cw_margin", targets="all")],
        eps=EPS,
        batch_size=15,
        panel=False,
        progress=False,
    )
    entry = list(result["attacks"].values())[1]
    pairs = entry["class_pairs"]
    right = np.arange(40) >= 4
    rates = success_rates(entry)
    for label, target in itertools.product(range(3), range(3)):
        those = right & (labels == label)
        assert pairs["num_images"][label] == those.sum() > 2
        if label == target:
            assert np.isnan(rates[label, target])
            continue
        reaches = corner_reaches(weights, bias, images, labels, target) & those
        assert pairs["num_reached"][label][target] == reaches.sum()
        assert rates[label, target] == pytest.approx(reaches.sum() / those.sum())
    with pytest.raises(ValueError, match="no class pairs"):
        success_rates(result["attacks"]["clean"])


def test_its_name():
    attack = parse("pgd20-tx3", eps=EPS, seed=4)
    assert attack == pgd(eps=EPS, num_steps=20, targets="all", num_restarts=3, seed=4)
    assert isinstance(attack, TargetedPGD)
    assert repr(attack).endswith("seed=4, targets='all', num_restarts=3)")
    assert parse("pgd20-t", eps=EPS).num_restarts == 1


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"targets": "some"}, "targets is 'some'"),
        ({"targets": []}, "at least one class"),
        ({"targets": [1, 1]}, "each once"),
        ({"targets": -1}, "targets is -1"),
        ({"targets": 1.5}, "whole number"),
        ({"targets": 1, "num_restarts": 2, "random_start": False}, "without a random"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        pgd(eps=0.1, **settings)


def test_a_class_that_the_model_does_not_have():
    model, _, _, images, labels = case(4)
    for call in (pgd(eps=0.1, targets=3), pgd(eps=0.1, targets=3).reach):
        with pytest.raises(ValueError, match="the model has 3 classes"):
            call(model, images, labels)
