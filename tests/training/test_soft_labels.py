"""Label smoothing, mixup and cutmix by hand, and soft labels in every method's loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model, set_seed

import igam_tf
from igam_tf import attacks, gradients, losses, models, training
from igam_tf.training import soft_labels

SEED = tf.constant([3, 5])
LOGITS = tf.constant([[0.0, 1.0, 2.0], [1.0, -1.0, 0.5]])


@pytest.mark.fast
def test_the_loss_of_a_soft_label_is_the_mixture_of_the_losses():
    hard = [losses.cross_entropy(LOGITS, tf.fill([2], t)).numpy() for t in range(3)]
    soft = tf.constant([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    expected = (soft.numpy().T * np.array(hard)).sum(axis=0)
    np.testing.assert_allclose(losses.cross_entropy(LOGITS, soft), expected, rtol=1e-6)
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    found = losses.true_probability(LOGITS, soft)
    np.testing.assert_allclose(found, (soft * shares).numpy().sum(axis=1), rtol=1e-6)
    found = losses.true_probability(LOGITS, tf.constant([2, 0]))
    np.testing.assert_allclose(found, [shares[0, 2], shares[1, 0]], rtol=1e-6)


@pytest.mark.fast
def test_a_column_of_numbers_is_not_soft():
    assert losses.is_soft(np.ones([2, 3], np.float32))
    for labels in ([0, 1], np.zeros([2, 1], np.int32), tf.constant([0, 1])):
        assert not losses.is_soft(labels)


@pytest.mark.fast
def test_smoothing():
    images = tf.zeros([2, 1, 1, 1])
    same, found = training.SoftLabels(smoothing=0.3)(
        images, tf.constant([2, 0]), 3, SEED
    )
    assert same is images
    np.testing.assert_allclose(found, [[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]], atol=1e-7)


@pytest.mark.fast
def test_mixup_takes_the_image_at_the_same_place_from_the_end():
    images = tf.reshape(tf.constant([0.0, 0.2, 1.0]), [3, 1, 1, 1])
    found, share = soft_labels.mixup(images, tf.constant(0.75))
    assert float(share) == 0.75
    np.testing.assert_allclose(found.numpy().ravel(), [0.25, 0.2, 0.75], atol=1e-7)


@pytest.mark.fast
@pytest.mark.parametrize("seed", range(6))
def test_cutmix_says_what_the_box_left(seed):
    images = tf.reshape(tf.constant([0.0, 1.0]), [2, 1, 1, 1]) * tf.ones([2, 8, 8, 3])
    found, share = soft_labels.cutmix(images, tf.constant(0.75), tf.constant([seed, 0]))
    # A quarter of the area, 4 x 4 of 64 pixels, less what is outside.
    box = found.numpy()[0, ..., 0] == 1
    assert 0 < box.sum() <= 16
    assert float(share) == 1 - box.sum() / 64
    assert box.sum() == box.any(axis=1).sum() * box.any(axis=0).sum()
    np.testing.assert_array_equal(found[1], 1 - found[0])
    _, share = soft_labels.cutmix(images, tf.constant(1.0), tf.constant([seed, 0]))
    assert float(share) == 1


@pytest.mark.fast
@pytest.mark.parametrize(
    "arguments", [{"mixup": 0.8}, {"cutmix": 1.0}, {"mixup": 0.8, "cutmix": 1.0}]
)
def test_images_and_labels_are_mixed_by_the_same_share(arguments):
    images = tf.reshape(tf.constant([0.0, 1.0]), [2, 1, 1, 1]) * tf.ones([2, 8, 8, 1])
    mix, labels = training.SoftLabels(**arguments), tf.constant([0, 1])
    shares = []
    for step in range(4):
        found, soft = mix(images, labels, 3, tf.constant([0, step]))
        again, _ = mix(images, labels, 3, tf.constant([0, step]))
        np.testing.assert_array_equal(found, again)
        np.testing.assert_allclose(
            soft[:, 1], tf.reduce_mean(found, (1, 2, 3)), atol=1e-6
        )
        np.testing.assert_allclose(tf.reduce_sum(soft, 1), [1, 1], atol=1e-6)
        shares.append(float(soft[0, 0]))
    assert len(set(shares)) > 1


@pytest.mark.fast
def test_a_share_is_drawn_from_the_beta_distribution():
    seeds = [tf.constant([7, i]) for i in range(200)]
    for alpha in (0.2, 4.0):
        drawn = np.array([float(soft_labels.beta(alpha, seed)) for seed in seeds])
        assert (0 <= drawn).all() and (drawn <= 1).all()
        # The variance of Beta(alpha, alpha), within what 200 draws say of it.
        assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.3)


SHAPE = {"image_shape": (8, 8, 1), "filters": (4,), "hidden_units": 4}


def _student(seed=3):
    set_seed(seed)
    return models.small_cnn(num_classes=3, activation="gelu", **SHAPE)


def _discriminator():
    return models.discriminator(gradient_shape=(8, 8, 1), channels=(4,))


PENALTY = training.GradientNormPenalty(batch_norm="batch")
METHODS = {
    "standard": lambda s: training.StandardTraining(s, penalty=PENALTY),
    "pgd": lambda s: training.AdversarialTraining(s, attacks.pgd(eps=0.1, num_steps=2)),
    "gradient_norm": training.GradNorm,
    "edges": training.EdgeReg,
    "kdiga": lambda s: training.KDIGA(s, _student(5)),
    "jarn": lambda s: training.JARN(s, _discriminator()),
    "igam": lambda s: training.IGAM(s, _student(5), _discriminator()),
    "igam of the loss": lambda s: training.IGAM(
        s, _student(5), _discriminator(), input_gradient_of="loss"
    ),
    "pag": lambda s: training.PAG(s, lambda x, y: tf.repeat(x[:, None], 3, axis=1)),
}


def _terms(method, images, labels):
    phase = method.phases[-1]
    images, targets = method.prepare(images, labels, phase=phase, seed=SEED)
    terms, _, _ = method.loss_terms(
        images, labels, targets, phase=phase, global_batch=tf.constant(4.0)
    )
    if method.penalty is not None:
        terms |= method.penalty.terms(method, images, labels)
    return {name: value.numpy() for name, value in terms.items()}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_takes_soft_labels_for_what_they_are(name):
    method = METHODS[name](_student())
    method.compile(keras.optimizers.SGD(0.1))
    images = tf.constant(np.random.default_rng(0).random((4, 8, 8, 1)), tf.float32)
    labels = tf.constant([2, 0, 1, 2])
    hard = _terms(method, images, labels)
    one_hot = _terms(method, images, tf.one_hot(labels, 3))
    smooth = _terms(method, images, 0.7 * tf.one_hot(labels, 3) + 0.1)
    assert hard.keys() == one_hot.keys() == smooth.keys()
    for term, values in hard.items():
        assert values.shape == (4,)
        np.testing.assert_allclose(one_hot[term], values, rtol=1e-3, atol=1e-5)
    assert np.abs(smooth["cross_entropy"] - hard["cross_entropy"]).min() > 1e-4


@pytest.mark.fast
def test_the_input_gradient_is_that_of_the_soft_loss():
    model, _, _ = linear_model((2, 2, 1), num_classes=3)
    images = tf.constant(np.random.default_rng(0).random((2, 2, 2, 1)), tf.float32)
    soft = tf.constant([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]])
    for of in ("loss", "probability"):
        found = gradients.input_gradient(model, images, soft, of=of)
        parts = [
            gradients.input_gradient(model, images, tf.fill([2], t), of=of)
            for t in range(3)
        ]
        expected = sum(
            tf.reshape(soft[:, t], [2, 1, 1, 1]) * parts[t] for t in range(3)
        )
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.fast
def test_an_attack_raises_the_loss_of_the_mixed_label():
    model, weights, _ = linear_model((2, 2, 1), num_classes=3)
    images, soft = tf.fill([1, 2, 2, 1], 0.5), tf.constant([[0.5, 0.5, 0.0]])
    attack = attacks.fgsm(eps=0.1)
    found = attack.perturb(model, images, soft, seed=SEED).numpy().ravel()
    # d CE / dx = W (p - y), with the soft y.
    p = tf.nn.softmax(model(images)).numpy()[0]
    expected = 0.5 + 0.1 * np.sign(weights @ (p - soft.numpy()[0]))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.fast
@pytest.mark.parametrize(
    "attack",
    [
        attacks.pgd(eps=0.1, loss="cw_margin"),
        attacks.pgd(eps=0.1, num_restarts=2),
    ],
)
def test_attacks_that_need_a_class_are_refused(attack):
    with pytest.raises(ValueError, match="soft labels with .*one run of an attack"):
        training.AdversarialTraining(
            _student(), attack, soft_labels=training.SoftLabels(smoothing=0.1)
        )


@pytest.mark.fast
@pytest.mark.parametrize(
    "name, value", [("smoothing", 1.0), ("mixup", -1.0), ("cutmix", float("nan"))]
)
def test_bad_numbers(name, value):
    with pytest.raises(ValueError, match=f"^{name}="):
        training.SoftLabels(**{name: value})


@pytest.mark.fast
def test_images_in_pairs_are_not_mixed():
    pair = (tf.zeros([2, 1, 1, 1]), tf.zeros([2, 3, 1, 1, 1]))
    labels = tf.constant([0, 1])
    same, _ = training.SoftLabels(smoothing=0.1)(pair, labels, 3, SEED)
    assert same is pair
    with pytest.raises(ValueError, match="come in a pair"):
        training.SoftLabels(mixup=1.0)(pair, labels, 3, SEED)
    with pytest.raises(ValueError, match="come in a pair"):
        training.Distortions(random_erasing=0.5)(pair, SEED)


def test_a_training_goes_on_bit_for_bit_and_logs_the_larger_class(tmp_path):
    images = np.random.default_rng(0).random((12, 8, 8, 1), np.float32)
    labels = np.arange(12, dtype=np.int32) % 3
    method = igam_tf.StandardTraining(
        _student(),
        soft_labels=training.SoftLabels(smoothing=0.1, mixup=0.8, cutmix=1.0),
        distortions=training.Distortions(random_erasing=0.5),
        micro_batch=4,
    )
    rate = training.cosine(0.1, 6, warmup=0.5)
    method.compile(keras.optimizers.AdamW(rate, use_ema=True, ema_momentum=0.5))

    def epoch():
        return method.fit(images, labels, batch_size=6, shuffle=False, verbose=0)

    epoch()
    method.save_weights(tmp_path / "state.weights.h5")
    first = epoch().history
    after = [v.numpy() for v in (*method.variables, *method.optimizer.variables)]
    method.load_weights(tmp_path / "state.weights.h5")
    second = epoch().history
    again = [v.numpy() for v in (*method.variables, *method.optimizer.variables)]
    assert first == second
    for a, b in zip(after, again, strict=True):
        np.testing.assert_array_equal(a, b)
    # The next steps draw anew.
    assert epoch().history["loss"] != first["loss"]

    seed = method.step_seed(tf.constant(7))
    _, soft, hard = method.augmented(tf.constant(images), tf.constant(labels), seed)
    assert soft.shape == (12, 3) and not np.isin(soft, [0, 1]).any()
    np.testing.assert_array_equal(hard, tf.argmax(soft, axis=1))


def _of_a_teacher(method, soft, **kwargs):
    networks = linear_model(seed=1)[0], linear_model(seed=2)[0]
    if method in ("RSLAD", "IGDM"):
        kwargs["attack"] = attacks.pgd(eps=0.1, num_steps=1)
    return getattr(training, method)(*networks, soft_labels=soft, **kwargs)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("method", "kwargs"),
    [("RSLAD", {}), ("IGDM", {}), ("RRM", {"cross_entropy_weight": 0.0})],
)
def test_labels_that_no_term_has_are_not_smoothed(method, kwargs):
    with pytest.raises(ValueError, match=f"^smoothing=0.1 with {method}: expected 0"):
        _of_a_teacher(method, training.SoftLabels(smoothing=0.1, mixup=1.0), **kwargs)
    # The images are mixed all the same.
    _of_a_teacher(method, training.SoftLabels(mixup=1.0), **kwargs)


@pytest.mark.fast
def test_labels_that_one_term_has_are_smoothed():
    soft = training.SoftLabels(smoothing=0.1)
    assert _of_a_teacher("RRM", soft).soft_labels is soft
    attacked = {"cross_entropy_weight": 0.0, "attack": attacks.fgsm(eps=0.1)}
    assert _of_a_teacher("RRM", soft, **attacked).soft_labels is soft


def test_the_teacher_labels_the_mixed_image():
    method = _of_a_teacher("RSLAD", training.SoftLabels(mixup=1.0))
    images = np.random.default_rng(0).random((4, 2, 3, 1)).astype("float32")
    seed = method.step_seed(tf.constant(0))
    mixed, labels, _ = method.augmented(images, tf.constant([0, 1, 0, 1]), seed)
    assert np.abs(mixed - images).max() > 0.01
    _, (found, _) = method.prepare(mixed, labels, phase="train", seed=seed)
    np.testing.assert_allclose(found, method.teacher(mixed), rtol=1e-5)
