"""FMN and DDN: on a linear model the smallest perturbation is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net, linear_model

from igam_tf.attacks import DDN, FAB, FMN, AutoAttack

#: The norm of the weights by which a margin is divided for the distance to the plane.
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}
ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


def linear_case(norm, num_classes=2, shape=(4, 4, 1)):
    """A linear model, images, their labels, and their distances to the boundary.

    Of three classes the one with the best logit need not be the nearest.
    """
    model, weights, _ = linear_model(shape, num_classes)
    generator = np.random.default_rng(1)
    images = generator.uniform(0.35, 0.65, (60, *shape)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    leads = logits.max(axis=1, keepdims=True) - logits
    directions = weights[:, labels].T[:, :, None] - weights[None]
    sizes = np.linalg.norm(directions, ord=DUAL[norm], axis=1)
    distances = np.where(sizes > 0, leads / np.maximum(sizes, 1e-9), np.inf)
    # Two images misclassified as they are, by their labels.
    labels[:2] = (labels[:2] + 1) % num_classes
    truth = distances.min(axis=1)
    truth[:2] = 0
    return model, images, labels, truth


def sizes_of(changes, norm):
    return np.linalg.norm(changes.reshape(len(changes), -1), ord=ORDER[norm], axis=1)


# DDN's radius comes down from 1 by 5 % a step, and is that exact.
@pytest.mark.parametrize(
    "attack, norm, rtol",
    [(FMN, "linf", 0.01), (FMN, "l2", 0.01), (FMN, "l1", 0.01), (DDN, "l2", 0.06)],
)
def test_smallest_perturbation_of_a_linear_model(attack, norm, rtol):
    model, images, labels, truth = linear_case(norm)
    eps = float(np.median(truth))
    made = attack(eps=eps, norm=norm)
    found, distance = made.nearest(model, images, labels)
    # The box cuts no pixel where the boundary is nearer than its sides.
    inside = (truth < 0.3) & (truth > (0.02 if attack is DDN else 0))
    assert inside.mean() > 0.5
    np.testing.assert_allclose(distance[inside], truth[inside], rtol=rtol)
    assert (distance >= truth * (1 - 1e-4)).all()
    assert distance[0] == 0 and (found[:2] == images[:2]).all()
    assert (model(found).numpy().argmax(axis=1) != labels).all()
    np.testing.assert_allclose(sizes_of(found - images, norm), distance, atol=1e-5)
    assert found.min() >= 0 and found.max() <= 1
    # As any attack: what lies within eps, or the image as it is.
    adversarial = made(model, images, labels)
    moved = sizes_of(adversarial - images, norm)
    assert (moved <= eps * (1 + 1e-5)).all()
    wrong = model(adversarial).numpy().argmax(axis=1) != labels
    clear = np.abs(truth / eps - 1) > 2 * rtol
    np.testing.assert_array_equal(wrong[clear], (truth < eps)[clear])
    assert (moved[~wrong] == 0).all()


@pytest.mark.parametrize("attack, norm", [(FMN, "linf"), (FMN, "l2"), (DDN, "l2")])
def test_what_all_logits_have_in_common_changes_nothing(attack, norm):
    """Numbers of float32 near 1e5 lie 0.008 apart, and a pixel counts for tens."""
    model, *batch, _ = linear_case(norm)
    images, labels = (array[:20] for array in batch)
    kernel, bias = model.get_weights()
    shifted = keras.models.clone_model(model)
    found = []
    for common in (0, 1e5):
        shifted.set_weights([30 * kernel, 30 * bias + np.float32(common)])
        found.append(attack(eps=0.5, norm=norm).nearest(shifted, images, labels)[1])
    assert np.isfinite(found).all()
    # An L2 distance is as many pixels'.
    atol = {"linf": 5e-4, "l2": 2e-3}[norm]
    np.testing.assert_allclose(found[1], found[0], rtol=0.01, atol=atol)


def test_more_steps_come_nearer_than_fab_or_as_near():
    """On a network: no farther than FAB's distances by more than a few percent."""
    images, labels = digits()
    images, labels = images[1200:1260], labels[1200:1260]
    few, many = (
        FMN(eps=0.1, num_steps=steps).nearest(digits_net(), images, labels)[1]
        for steps in (10, 100)
    )
    assert np.isfinite(many).all()
    assert np.median(many) <= np.median(few)
    reference = FAB(eps=0.1).nearest(digits_net(), images, labels)[1]
    right = reference > 0
    assert np.median(many[right] / reference[right]) < 1.1


def test_no_result_depends_on_the_batch():
    """But for last digits, which decide on which side of the boundary a point is."""
    model, images, labels, _ = linear_case("l2")
    attack = FMN(eps=0.1, norm="l2", num_steps=40)
    whole = attack.nearest(model, images, labels)[1]
    parts = attack.nearest(model, images, labels, batch_size=7)[1]
    np.testing.assert_allclose(whole, parts, rtol=0.02)


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_an_image_on_the_boundary(norm):
    """Equal logits count as the class of the lower number: a step to there is none."""
    model, weights, _ = linear_model((4, 4, 1))
    model.set_weights([weights, np.zeros(2)])
    zero = np.zeros((1, 4, 4, 1), np.float32)
    assert np.ptp(model(zero)) == 0
    for attack in (
        FMN(eps=0.5, norm=norm, num_steps=20),
        FMN(eps=0.5, norm=norm, num_steps=20, num_targets=1),
        FAB(eps=0.5, norm=norm, num_steps=5),
        FAB(eps=0.5, norm=norm, num_steps=5, num_targets=0),
    ):
        found, distance = attack.nearest(model, zero, np.array([0]))
        assert model(found).numpy().argmax() == 1, attack
        assert 0 < distance[0] < 0.01, attack


def test_within_an_ensemble():
    """Images that FMN brought within eps leave; APGD need not attack them."""
    model, images, labels, truth = linear_case("linf")
    eps = float(np.median(truth))
    ensemble = AutoAttack(eps=eps, version=(FMN(eps=eps),))
    outcome = ensemble.outcome(model, images, labels)
    clear = np.abs(truth / eps - 1) > 0.03
    np.testing.assert_array_equal(outcome.robust["fmn"][clear], (truth > eps)[clear])
    # A step is a forward and a backward pass; nobody took all of them in vain.
    passes = outcome.backward_passes["fmn"]
    assert passes == outcome.forward_passes["fmn"]
    assert 0 < passes < 60 * 100


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
    found, distance = FMN(eps=0.1, num_steps=5).nearest(flat, images, labels)
    np.testing.assert_array_equal(found, images)
    assert np.isinf(distance).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: FMN(eps=0.1, norm="l0"), "norm is 'l0'"),
        (lambda: FMN(eps=8.0), "divide by 255"),
        (lambda: FMN(eps=0.1, num_steps=0), "num_steps is 0"),
        (lambda: FMN(eps=0.1, alpha_init=0.0), "alpha_init is 0"),
        (lambda: FMN(eps=0.1, gamma_final=2), "gamma_final is 2"),
        (lambda: DDN(eps=0.1, norm="linf"), "expected 'l2', for which DDN is defined"),
        (lambda: DDN(eps=0.1, gamma_init=-1), "gamma_init is -1"),
        (lambda: DDN(eps=0.1, size_init=0.0), "size_init is 0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_fmn_towards_each_class_in_turn():
    """Of three classes the one that leads need not be the nearest."""
    model, images, labels, truth = linear_case("l2", num_classes=3)
    attack = FMN(eps=0.1, norm="l2", num_targets=9)
    assert attack.name == "fmn-t" and len(attack.for_classes(3).runs()) == 2
    _, distance = attack.nearest(model, images, labels)
    inside = (truth < 0.3) & (truth > 0)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(distance[inside], truth[inside], rtol=0.01)
    assert (distance >= truth * (1 - 1e-4)).all()


def test_a_target_is_where_the_steps_go():
    """The same image, one step: along the weights of its own target."""
    model, weights, _ = linear_model((4, 4, 1), num_classes=3)
    image = np.full((1, 4, 4, 1), 0.5, np.float32)
    order = np.argsort(-model(image).numpy()[0])
    attack = FMN(eps=0.1, norm="l2", num_targets=2)
    start = {
        "images": tf.constant(np.repeat(image, 2, axis=0)),
        "labels": tf.constant(np.int32([order[0]] * 2)),
        "targets": tf.constant(np.int32(order[1:])),
        "seeds": tf.zeros((2, 2), tf.int32),
    }
    numbers = {key: tf.constant(value) for key, value in attack.numbers.items()}
    state = attack.begin(model, start, numbers, False)
    after = attack.advance(model, state, tf.constant(0), (), numbers, False)
    moved = (after["adversarial"].numpy() - image).reshape(2, -1)
    for change, target in zip(moved, order[1:], strict=True):
        along = weights[:, target] - weights[:, order[0]]
        cosine = change @ along / np.linalg.norm(change) / np.linalg.norm(along)
        assert cosine > 0.999


def test_ddn_leaves_an_image_without_a_gradient():
    """A model so sure that its cross entropy is 0 to the last digit."""
    model, images, labels, truth = linear_case("l2")
    model.set_weights([1e4 * array for array in model.get_weights()])
    attack = DDN(eps=0.1)
    found, distance = attack.nearest(model, images, labels)
    reached = np.isfinite(distance)
    assert reached.mean() > 0.5
    assert (distance[reached] >= truth[reached] * (1 - 1e-4)).all()
    assert (model(found[reached]).numpy().argmax(axis=1) != labels[reached]).all()
    # The draws are an image's own: those of a batch change nothing.
    _, alone = attack.nearest(model, images[7:9], labels[7:9], first_index=7)
    np.testing.assert_allclose(alone, distance[7:9], rtol=1e-4)


def test_their_texts_say_everything():
    assert repr(FMN(eps=8 / 255)) == (
        "FMN(eps=8/255, norm='linf', num_steps=100, alpha_init=1, gamma_init=0.05, "
        "gamma_final=0.001, num_targets=0)"
    )
    assert repr(DDN(eps=0.5)) == (
        "DDN(eps=0.5, norm='l2', num_steps=100, alpha_init=1, gamma_init=0.05, "
        "size_init=1)"
    )
