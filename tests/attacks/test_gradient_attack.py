"""FGSM and PGD on a model whose worst case is known, and on a trained one.

The checks are functions of an attack, because noise has to fail each of them.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits, digits_net, linear_model

from igam_tf import attacks
from igam_tf.attacks.classifier import input_gradient
from igam_tf.attacks.geometry import uniform_in_ball
from igam_tf.losses import cross_entropy

EPS = {"linf": 0.1, "l2": 0.6}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Noise(attacks.GraphAttack):
    """A point of the ball, uniform: what no test of an attack may accept."""

    eps: float
    norm: str
    seed: int = 0
    structure = property(lambda self: ("noise", self.norm))

    @property
    def numbers(self):
        return {"eps": np.float32(self.eps)}

    def run(self, model, images, labels, seed, numbers, training):
        noise = numbers["eps"] * uniform_in_ball(images, seed, self.norm)
        return tf.clip_by_value(images + noise, 0.0, 1.0)


def losses(model, images, labels):
    return keras.losses.sparse_categorical_crossentropy(
        labels, model(images), from_logits=True
    ).numpy()


def worst_margin_is_reached(attack):
    """On 2 classes the margin falls by eps times the dual norm of the weights."""
    model, weights, _ = linear_model()
    images = np.random.default_rng(0).uniform(0.4, 0.6, (16, 2, 3, 1)).astype("float32")
    labels = np.arange(16, dtype=np.int32) % 2

    def margin(images):
        logits = model(images).numpy()
        return np.where(labels == 0, 1, -1) * (logits[:, 0] - logits[:, 1])

    adversarial = attack(model, images, labels)
    dual = {"linf": 1, "l2": 2}[attack.norm]
    fall = attack.eps * np.linalg.norm(weights[:, 0] - weights[:, 1], dual)
    np.testing.assert_allclose(margin(images) - margin(adversarial), fall, rtol=1e-4)


def loss_never_falls(attack):
    images, labels = (array[1200:1300] for array in digits())
    adversarial = attack(digits_net(), images, labels)
    before = losses(digits_net(), images, labels)
    after = losses(digits_net(), adversarial, labels)
    assert (after >= before - 1e-6).all()
    assert after.mean() > 2 * before.mean()


def every_attack(norm):
    """Attacks that reach the worst case of a linear model."""
    eps = EPS[norm]
    settings = {"eps": eps, "norm": norm, "step_size": eps / 4, "num_steps": 40}
    return [
        attacks.fgsm(eps=eps, norm=norm),
        attacks.pgd(**settings),
        attacks.pgd(**settings, random_start=False),
        attacks.pgd(**settings, loss="cw_margin"),
        attacks.pgd(**settings, num_restarts=2),
    ]


ALL = [attack for norm in EPS for attack in every_attack(norm)]
NOISE = [Noise(eps=eps, norm=norm) for norm, eps in EPS.items()]


@pytest.mark.parametrize("attack", ALL, ids=repr)
def test_reaches_the_worst_case_of_a_linear_model(attack):
    worst_margin_is_reached(attack)


@pytest.mark.parametrize("attack", ALL, ids=repr)
def test_loss_is_not_below_the_start(attack):
    loss_never_falls(attack)


@pytest.mark.parametrize("noise", NOISE, ids=repr)
@pytest.mark.parametrize("check", [worst_margin_is_reached, loss_never_falls])
def test_noise_fails_the_same_checks(check, noise):
    with pytest.raises(AssertionError):
        check(noise)


@pytest.mark.parametrize("attack", ALL + NOISE, ids=repr)
def test_stays_in_the_ball_and_in_the_pixel_range(attack):
    images, labels = (array[1200:1300] for array in digits())
    adversarial = attack(digits_net(), images, labels)
    assert adversarial.dtype == np.float32
    assert adversarial.min() >= 0 and adversarial.max() <= 1
    difference = (adversarial - images).reshape(100, -1)
    order = {"linf": np.inf, "l2": 2}[attack.norm]
    lengths = np.linalg.norm(difference, order, axis=1)
    assert lengths.max() <= attack.eps + 1e-6
    assert lengths.min() > 0


@pytest.mark.parametrize("norm", EPS)
def test_more_steps_are_not_weaker(norm):
    images, labels = (array[1200:1500] for array in digits())
    means = []
    for steps in (1, 5, 20, 100):
        eps = EPS[norm]
        attack = attacks.pgd(eps=eps, norm=norm, num_steps=steps, step_size=eps / 4)
        adversarial = attack(digits_net(), images, labels)
        means.append(losses(digits_net(), adversarial, labels).mean())
    assert means[0] < means[1] < means[2]
    assert means[3] >= means[2] * 0.999


def test_pgd_is_stronger_than_fgsm():
    images, labels = (array[1200:1500] for array in digits())
    weak = attacks.fgsm(eps=0.2)(digits_net(), images, labels)
    strong = attacks.pgd(eps=0.2)(digits_net(), images, labels)
    weak, strong = (losses(digits_net(), x, labels).mean() for x in (weak, strong))
    assert strong > 1.05 * weak


@pytest.mark.parametrize("attack", ALL, ids=repr)
def test_model_without_gradient_gives_no_nan(attack):
    model, weights, bias = linear_model()
    model.set_weights([0 * weights, bias])
    images = np.full((3, 2, 3, 1), 0.5, np.float32)
    adversarial = attack(model, images, np.array([0, 1, 0]))
    assert np.isfinite(adversarial).all()


def test_fgsm_clips_where_the_reference_wrapped_around():
    model, _, _ = linear_model()
    images = np.tile([0.0, 1.0], 12).reshape(4, 2, 3, 1).astype(np.float32)
    adversarial = attacks.fgsm(eps=8 / 255)(model, images, np.array([0, 1, 0, 1]))
    np.testing.assert_array_less(np.abs(adversarial - images), 8 / 255 + 1e-6)
    assert adversarial.min() == 0 and adversarial.max() == 1


def test_eps_of_zero_leaves_the_images():
    images, labels = (array[:10] for array in digits())
    for norm in EPS:
        adversarial = attacks.pgd(eps=0, norm=norm)(digits_net(), images, labels)
        np.testing.assert_array_equal(adversarial, images)


@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"eps": -0.1}, "eps"),
        ({"eps": float("nan")}, "eps"),
        ({"eps": 8}, "divide by 255"),
        ({"eps": 0.1, "norm": "l0"}, "norm"),
        ({"eps": 0.1, "num_steps": 0}, "num_steps"),
        ({"eps": 0.1, "num_steps": 2.5}, "num_steps"),
        ({"eps": 0.1, "step_size": -1}, "step_size"),
        ({"eps": 0.1, "loss": "hinge"}, "loss"),
        ({"eps": 0.1, "num_restarts": 0}, "num_restarts"),
        ({"eps": 0.1, "num_restarts": 3, "random_start": False}, "random start"),
        ({"eps": 0.1, "seed": 1.5}, "seed"),
    ],
)
def test_bad_hyper_parameters(arguments, word):
    with pytest.raises(ValueError, match=word):
        attacks.pgd(**arguments)


def test_default_steps():
    assert attacks.pgd(eps=8 / 255, num_steps=100).step_size == pytest.approx(2 / 255)
    assert attacks.pgd(eps=0.5, num_steps=10, norm="l2").step_size == 0.125
    assert attacks.fgsm(eps=0.5).step_size == 0.5


def test_repr_is_the_call_that_makes_the_attack():
    names = {"pgd": attacks.pgd, "fgsm": attacks.fgsm}
    for attack in [*ALL, attacks.pgd(eps=8 / 255, seed=3, num_restarts=5)]:
        again = eval(repr(attack), names)
        assert repr(again) == repr(attack) and again == attack


def test_confident_images_have_a_gradient_in_float16():
    """Slopes of a softmax at a lead of 20, 2e-9, are zero in float16."""
    layers = [
        keras.Input((2, 3, 1)),
        keras.layers.Flatten(dtype="float16"),
        keras.layers.Dense(2, dtype="float16"),
    ]
    model = keras.Sequential(layers)
    signs = np.array([1, -1, 1, 1, -1, -1])
    model.set_weights([np.stack([signs, -signs], axis=1), np.array([10, -10])])
    images, labels = np.full((2, 2, 3, 1), 0.5, np.float32), np.array([0, 0])
    for attack in (
        attacks.fgsm(eps=0.1),
        attacks.pgd(eps=0.1, num_steps=3, step_size=0.1, random_start=False),
    ):
        change = attack(model, images, labels) - images
        np.testing.assert_allclose(
            change.reshape(2, 6), np.tile(-0.1 * signs, (2, 1)), atol=1e-6
        )


def test_gradients_in_float16_have_their_size():
    model = keras.Sequential(
        [keras.Input((1, 1, 2)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    half = keras.Sequential(
        [
            keras.Input((1, 1, 2)),
            keras.layers.Flatten(dtype="float16"),
            keras.layers.Dense(2, dtype="float16"),
        ]
    )
    weights = [np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([3.0, 0.0])]
    points = tf.constant([[[[0.5, 0.25]]], [[[1.0, 0.0]]]])

    def loss(logits):
        return cross_entropy(logits, tf.constant([0, 1]))

    found = []
    for net in (model, half):
        net.set_weights(weights)
        found.append(input_gradient(loss, net, points, False)[2].numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=2e-3)
