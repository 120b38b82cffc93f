"""APGD: the schedule of the paper, and the truth where it is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net, linear_model, set_seed

from igam_tf.attacks import APGD, losses, pgd


def far_from_the_edge(images, labels, weights, bias, eps):
    """Which images are robust within the ball and the box, and which are clearly so.

    For a linear model the worst pixel is at one end of its interval, whatever the
    others: the least lead over each other class is a sum over pixels.
    """
    flat = images.reshape(len(images), -1)
    lowest, highest = np.maximum(flat - eps, 0), np.minimum(flat + eps, 1)
    leads = []
    for label, low, high in zip(labels, lowest, highest, strict=True):
        difference = weights[:, [label]] - weights
        worst = np.where(difference > 0, low[:, None], high[:, None])
        lead = (difference * worst).sum(axis=0) + bias[label] - bias
        leads.append(np.delete(lead, label).min())
    leads = np.array(leads)
    return leads > 0, np.abs(leads) > 1e-3


def linear_case(num_classes, eps, count=200):
    model, weights, bias = linear_model((3, 3, 1), num_classes=num_classes)
    images = np.random.default_rng(1).random((count, 3, 3, 1), np.float32)
    labels = model(images).numpy().argmax(axis=1).astype(np.int32)
    robust, clear = far_from_the_edge(images, labels, weights, bias, eps)
    return model, images[clear], labels[clear], robust[clear]


@pytest.mark.parametrize(
    "num_classes, loss",
    [(2, "cross_entropy"), (2, "dlr"), (2, "dlr_targeted"), (5, "dlr_targeted")],
)
def test_exact_robust_accuracy_of_a_linear_model(num_classes, loss):
    model, images, labels, robust = linear_case(num_classes, eps=0.1)
    assert 0.2 < robust.mean() < 0.9
    adversarial = APGD(eps=0.1, loss=loss)(model, images, labels)
    stands = model(adversarial).numpy().argmax(axis=1) == labels
    np.testing.assert_array_equal(stands, robust)
    assert np.abs(adversarial - images).max() <= 0.1 + 1e-6
    assert adversarial.min() >= 0 and adversarial.max() <= 1


def test_checkpoints_of_the_paper():
    windows = APGD(eps=0.1, num_steps=100).windows()
    steps = np.flatnonzero(windows) + 1
    assert steps.tolist() == [22, 41, 57, 70, 80, 87, 93, 99]
    assert windows[steps - 1].tolist() == [22, 19, 16, 13, 10, 7, 6, 6]
    assert APGD(eps=0.1, num_steps=1).windows().tolist() == [1]
    assert APGD(eps=0.1, num_steps=100).chunks()[-1] == 100


@pytest.mark.parametrize("norm, eps", [("linf", 0.12), ("l2", 0.8)])
def test_is_stronger_than_pgd_of_as_many_steps(norm, eps):
    images, labels = digits()
    images, labels = images[1200:1400], labels[1200:1400]

    def standing(attack):
        adversarial = attack(digits_net(), images, labels)
        distance = np.abs(adversarial - images)
        if norm == "l2":
            distance = np.sqrt((distance**2).sum(axis=(1, 2, 3)))
        assert distance.max() <= eps + 1e-5
        assert adversarial.min() >= 0 and adversarial.max() <= 1
        return (digits_net()(adversarial).numpy().argmax(axis=1) == labels).sum()

    settings = {"eps": eps, "norm": norm}
    plain = standing(pgd(num_steps=30, **settings))
    auto = standing(APGD(num_steps=30, **settings))
    targeted = standing(APGD(num_steps=30, loss="dlr_targeted", **settings))
    assert 0 < targeted <= auto <= plain


@pytest.mark.parametrize("loss", ["dlr", "dlr_targeted"])
def test_large_logits_do_not_fool_dlr(loss):
    images, labels = digits()
    images, labels = images[1200:1300], labels[1200:1300]
    scaled = keras.Sequential([digits_net(), keras.layers.Rescaling(1e4)])

    def standing(model, loss):
        adversarial = APGD(eps=0.15, loss=loss, num_steps=20)(model, images, labels)
        return (model(adversarial).numpy().argmax(axis=1) == labels).sum()

    # The cross entropy saturates: its gradient is zero in float32.
    unscaled = standing(digits_net(), "cross_entropy")
    assert standing(scaled, "cross_entropy") > unscaled + 9
    assert abs(standing(scaled, loss) - standing(digits_net(), loss)) <= 1


def test_losses_by_hand():
    logits = tf.constant([[5.0, 3.0, 1.0, 0.0], [1.0, 3.0, 2.0, 0.5]])
    labels, targets = tf.constant([0, 0]), tf.constant([2, 1])
    np.testing.assert_allclose(
        losses.dlr(logits, labels), [-(5 - 3) / (5 - 1), -(1 - 3) / (3 - 1)]
    )
    np.testing.assert_allclose(
        losses.dlr_targeted(logits, labels, targets),
        [-(5 - 1) / (5 - 0.5), -(1 - 3) / (3 - 0.75)],
    )
    np.testing.assert_allclose(losses.margin(logits, labels), [-2, 2])
    for loss, wanted in (
        (losses.dlr, (labels,)),
        (losses.dlr_targeted, (labels, targets)),
    ):
        np.testing.assert_allclose(
            loss(1e4 * logits + 7, *wanted), loss(logits, *wanted), rtol=1e-5
        )


def test_more_restarts_are_never_weaker():
    images, labels = digits()
    images, labels = images[1200:1400], labels[1200:1400]
    standing = []
    for count in (1, 3):
        attack = APGD(eps=0.12, num_steps=3, num_restarts=count)
        adversarial = attack(digits_net(), images, labels)
        standing.append(digits_net()(adversarial).numpy().argmax(axis=1) == labels)
    assert not (standing[1] & ~standing[0]).any()
    assert standing[1].sum() < standing[0].sum()


def noisy_model():
    """A linear model whose logits jump at random: one gradient in two points away."""
    model, _, _ = linear_model((3, 3, 1))
    noise = keras.layers.Lambda(
        lambda x: (
            x
            + tf.where(tf.random.uniform(tf.shape(x)[:1]) < 0.45, -2.0, 1.0)[
                :, None, None, None
            ]
            * (x - tf.stop_gradient(x))
        )
    )
    return keras.Sequential([keras.Input((3, 3, 1)), noise, *model.layers]), model


def test_averaged_gradients_see_through_noise():
    set_seed(0)
    noisy, plain = noisy_model()
    _, images, labels, _ = linear_case(2, eps=0.1)

    def loss(eot_iter):
        attack = APGD(eps=0.1, num_steps=3, eot_iter=eot_iter)
        adversarial = attack(noisy, images, labels)
        margins = losses.margin(plain(adversarial), labels).numpy()
        return margins.mean()

    assert loss(20) > loss(1) + 0.01


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"loss": "hinge"}, "loss is 'hinge'"),
        ({"norm": "l3"}, "norm is 'l3'"),
        ({"norm": "l1", "num_steps": 2}, "num_steps is 2"),
        ({"eps": 8}, "divide by 255"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"eot_iter": 0}, "eot_iter is 0"),
        ({"num_targets": 3}, "expected a targeted loss"),
        ({"loss": "dlr_targeted", "num_targets": 0}, "num_targets is 0"),
    ],
)
def test_bad_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        APGD(**{"eps": 0.1, **settings})


def test_whole_batch_in_training_mode():
    images, labels = digits()
    images, labels = images[1200:1230], labels[1200:1230]
    attack = APGD(eps=0.1, num_steps=10)
    before = digits_net().get_weights()
    adversarial = attack(digits_net(), images, labels, training=True)
    for old, new in zip(before, digits_net().get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not np.allclose(adversarial, attack(digits_net(), images, labels), atol=1e-3)
    logits = digits_net()(images, training=True).numpy()
    assert (logits.argmax(axis=1) == labels).mean() > 0.7
