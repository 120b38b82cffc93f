"""Restarts keep the worst case of each image, and equal separate runs combined."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import assert_same_images, digits, digits_net

from igam_tf import attacks
from igam_tf.attacks import restarts

# Weak on purpose: restarts must have something to add.
WEAK = {"eps": 0.12, "num_steps": 2, "step_size": 0.01}


def batch():
    images, labels = digits()
    return images[1200:1400], labels[1200:1400]


def judged(adversarial, labels):
    logits = digits_net()(adversarial).numpy()
    losses = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    )
    return logits.argmax(axis=1) != labels, losses.numpy()


def test_restarts_equal_separate_runs_combined():
    images, labels = batch()
    together = attacks.pgd(**WEAK, seed=3, num_restarts=4)(digits_net(), images, labels)
    worst, was_broken, worst_loss = None, None, None
    for restart in range(4):
        alone = attacks.pgd(**WEAK, seed=attacks.restart_seed(3, restart))
        adversarial = alone(digits_net(), images, labels)
        broken, loss = judged(adversarial, labels)
        if restart == 0:
            worst, was_broken, worst_loss = adversarial, broken, loss
            continue
        take = ~was_broken & (broken | (loss > worst_loss))
        assert take.any()
        worst[take], worst_loss[take] = adversarial[take], loss[take]
        was_broken |= broken
    assert_same_images(together, worst, atol=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "cw_margin"])
def test_restarts_are_monotone(loss):
    images, labels = batch()
    standing, losses = [], []
    for count in (1, 2, 8):
        attack = attacks.pgd(**WEAK, loss=loss, num_restarts=count)
        broken, loss_of_images = judged(attack(digits_net(), images, labels), labels)
        standing.append(~broken)
        losses.append(loss_of_images)
    for fewer, more in zip(standing, standing[1:]):
        assert not (more & ~fewer).any()
    assert standing[0].sum() > standing[-1].sum()
    if loss == "cross_entropy":
        still = standing[-1]
        assert (losses[0][still] <= losses[1][still]).all()
        assert (losses[1][still] <= losses[2][still]).all()


def test_wrapper_by_hand_equals_the_argument():
    by_hand = attacks.Restarts(attacks.pgd(**WEAK), 3)
    assert by_hand == attacks.pgd(**WEAK, num_restarts=3)


@pytest.mark.parametrize("in_a_graph", [False, True])
def test_a_loss_of_nan_is_the_worst(in_a_graph):
    def result(image, losses):
        images = tf.fill([len(losses), 1, 1, 1], image)
        return images, tf.constant([False, True, False, False]), tf.constant(losses)

    worse_of = tf.function(restarts.worse_of) if in_a_graph else restarts.worse_of
    one, two = result(1.0, [1.0, 1.0, 1.0, 1.0]), result(2.0, [np.nan, 2.0, 2.0, 0.5])
    assert worse_of(one, two)[0].numpy().ravel().tolist() == [2, 1, 2, 1]


def test_seeds_of_restarts_do_not_overlap():
    seeds = [attacks.restart_seed(s, r) for s in range(100) for r in range(100)]
    assert len(set(seeds)) == 10000
    assert attacks.restart_seed(7, 0) == 7
    assert -(2**31) <= min(seeds) and max(seeds) < 2**31


@pytest.mark.parametrize(
    "attack, message",
    [
        ("pgd20", "expected an attack"),
        (attacks.fgsm(eps=0.1), "random start"),
        (attacks.pgd(eps=0.1, num_restarts=2), "restarts of"),
    ],
)
def test_bad_attacks(attack, message):
    with pytest.raises(ValueError, match=message):
        attacks.Restarts(attack, 2)
