"""RSLAD and IGDM on linear models, whose worst case and losses are known by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model, set_seed

from igam_tf import attacks, data, models, training
from igam_tf.training import igdm

SHAPE = (2, 3, 1)
EPS = 0.05
SEED = tf.constant([0, 0])
CALL = {"phase": "train", "global_batch": 4.0}
PGD = attacks.pgd(eps=EPS, step_size=EPS, num_steps=1, random_start=False)


def _log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def _divergence(wanted, logits):
    theirs, ours = _log_softmax(wanted), _log_softmax(logits)
    return (np.exp(theirs) * (theirs - ours)).sum(axis=1)


class Linear:
    """A student and a teacher of two classes, and what they say of any images."""

    def __init__(self):
        self.student, *self.of_student = linear_model(SHAPE, seed=1)
        self.teacher, *self.of_teacher = linear_model(SHAPE, seed=2)
        generator = np.random.default_rng(0)
        self.images = generator.uniform(0.2, 0.8, (4, *SHAPE)).astype("float32")

    def logits(self, of, images):
        weights, bias = of
        return images.reshape(len(images), -1) @ weights + bias

    def worst_case(self):
        """KL rises along (p_s - p_t) W^T, all the way to the edge of the ball."""
        p_s, p_t = (
            np.exp(_log_softmax(self.logits(of, self.images)))
            for of in (self.of_student, self.of_teacher)
        )
        gradient = (p_s - p_t) @ self.of_student[0].T
        return self.images + EPS * np.sign(gradient).reshape(self.images.shape)


@pytest.fixture(scope="module")
def linear():
    return Linear()


def _terms(method, images, labels=None):
    given, targets = method.prepare(images, labels, phase="train", seed=SEED)
    terms, logits, _ = method.loss_terms(given, labels, targets, **CALL)
    return {k: v.numpy() for k, v in terms.items()}, logits.numpy(), targets


def test_rslad_by_hand(linear):
    method = training.RSLAD(linear.student, linear.teacher, PGD, alpha=0.7)
    terms, logits, (_, adversarial) = _terms(method, tf.constant(linear.images))
    worst = linear.worst_case()
    np.testing.assert_allclose(adversarial, worst, atol=1e-6)
    wanted = linear.logits(linear.of_teacher, linear.images)
    natural = linear.logits(linear.of_student, linear.images)
    attacked = linear.logits(linear.of_student, worst)
    np.testing.assert_allclose(logits, natural, atol=1e-5)
    expected = 0.3 * _divergence(wanted, natural)
    np.testing.assert_allclose(terms["natural_distillation"], expected, rtol=1e-3)
    # The soft labels of the adversarial image are those of the natural one.
    expected = 0.7 * _divergence(wanted, attacked)
    np.testing.assert_allclose(terms["adversarial_distillation"], expected, rtol=1e-3)
    assert (_divergence(wanted, attacked) > _divergence(wanted, natural)).all()


def test_igdm_by_hand(linear):
    method = training.IGDM(
        linear.student, linear.teacher, PGD, weight=8.0, total_steps=4
    )
    method.compile(keras.optimizers.SGD(0.0))
    terms, _, _ = _terms(method, tf.constant(linear.images))
    # Of a linear model the bias falls out: 2 d W is left.
    change = 2 * (linear.worst_case() - linear.images).reshape(4, -1)
    theirs, ours = change @ linear.of_teacher[0], change @ linear.of_student[0]
    expected = 8 / 4 * _divergence(theirs, ours)
    np.testing.assert_allclose(terms["difference"], expected, rtol=1e-3)
    found = igdm.logit_difference(*map(tf.constant, (theirs, ours, 0 * ours)))
    np.testing.assert_allclose(found, expected / 2, rtol=1e-3)
    rslad = training.RSLAD(linear.student, linear.teacher, PGD)
    for name, value in _terms(rslad, tf.constant(linear.images))[0].items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-5)


def test_the_weight_grows_to_the_last_step(linear):
    method = training.IGDM(linear.student, linear.teacher, PGD, total_steps=4)
    method.compile(keras.optimizers.SGD(0.0))
    for step, share in ((0, 0.25), (3, 1.0), (9, 1.0)):
        method.optimizer.iterations.assign(step)
        assert float(method.weight_now()) == pytest.approx(20 * share)
    assert training.IGDM(linear.student, linear.teacher, PGD).weight_now() == 20.0


def test_what_controls_match_instead(linear):
    change = linear.worst_case() - linear.images
    others = linear.images[::-1].copy()
    pair = tuple(map(tf.constant, (linear.images, others, [0, 0, 0, 0])))

    def wanted(matched_to, given):
        method = training.IGDM(
            linear.student, linear.teacher, PGD, matched_to=matched_to
        )
        return method.prepare(given, None, phase="train", seed=SEED)

    _, (soft, _, none) = wanted("zero", pair[0])
    assert not none.numpy().any()
    # The soft labels stay those of the image itself.
    expected = linear.logits(linear.of_teacher, linear.images)
    images, (soft, _, of_others) = wanted("same_class", pair)
    np.testing.assert_allclose(soft, expected, atol=1e-5)
    np.testing.assert_array_equal(images, linear.images)
    ahead, behind = (
        linear.logits(linear.of_teacher, others + sign * change) for sign in (1, -1)
    )
    np.testing.assert_allclose(of_others, ahead - behind, atol=1e-5)
    with pytest.raises(ValueError, match="partners="):
        wanted("other_class", pair[0])


@pytest.mark.parametrize(("kind", "arguments", "message"), [
    ("RSLAD", {"alpha": 1.5}, "alpha=1.5: expected a fraction"),
    ("RSLAD", {"attack": attacks.pgd(eps=0.1, num_restarts=2)}, "without restarts"),
    ("RSLAD", {"attack": None}, "attack=None: expected igam_tf.attacks.pgd"),
    ("IGDM", {"weight": -1.0}, "weight=-1.0"),
    ("IGDM", {"total_steps": 0}, "total_steps"),
    ("IGDM", {"matched_to": "noise"}, "matched_to='noise'"),
])  # fmt: skip
def test_bad_arguments(linear, kind, arguments, message):
    given = {"attack": PGD, **arguments}
    with pytest.raises(ValueError, match=message):
        getattr(training, kind)(linear.student, linear.teacher, **given)


def test_fit_trains_the_student_and_not_the_teacher(digits):
    set_seed(3)
    shape = {"image_shape": (8, 8, 1), "filters": (4,), "hidden_units": 8}
    student = models.small_cnn(num_classes=2, **shape)
    teacher = models.small_cnn(num_classes=2, **shape)
    before = [w.copy() for w in student.get_weights()]
    kept = [w.copy() for w in teacher.get_weights()]
    method = training.IGDM(student, teacher, attacks.pgd(eps=0.1, num_steps=2))
    method.compile(keras.optimizers.SGD(0.05))
    batches = data.evaluation_batches(digits.train, 32)
    history = method.fit(batches, epochs=1, verbose=0).history
    assert {"difference", "adversarial_distillation", "accuracy"} <= set(history)
    assert np.isfinite([v[0] for v in history.values()]).all()
    parts = sum(history[name][0] for name in training.IGDM.reports[:3])
    assert history["loss"][0] == pytest.approx(parts, rel=1e-5)
    assert any((a != b).any() for a, b in zip(before, student.get_weights()))
    for a, b in zip(kept, teacher.get_weights()):
        np.testing.assert_array_equal(a, b)
