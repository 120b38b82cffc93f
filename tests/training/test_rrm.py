"""RRM: the angle between features by hand, projected where their sizes differ."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from igam_tf import data, models, training
from igam_tf.models.features import before_logits, features_and_logits

SEED = tf.constant([0, 0])
CALL = {"phase": "train", "global_batch": 2.0}


def _network(units, num_classes=2, shape=(1, 2, 1), seed=0):
    """Two pixels to features without bias, and on to logits."""
    network = keras.Sequential(
        [
            keras.Input(shape),
            layers.Flatten(),
            layers.Dense(units, use_bias=False, name="features"),
            layers.Dense(num_classes),
        ]
    )
    generator = np.random.default_rng(seed)
    network.set_weights([generator.normal(size=w.shape) for w in network.weights])
    return network


def _terms(method, images, labels):
    given, targets = method.prepare(images, labels, phase="train", seed=SEED)
    terms, logits, _ = method.loss_terms(given, labels, targets, **CALL)
    return {k: v.numpy() for k, v in terms.items()}, logits.numpy()


def _cosine(a, b):
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return (a * b).sum(axis=1) / lengths


IMAGES = np.array([[[[0.5], [0.25]]], [[[0.1], [0.9]]]], "float32")
PIXELS = IMAGES.reshape(2, 2)
LABELS = tf.constant([0, 1])


def test_features_of_one_size_by_hand():
    # The teacher's classes do not matter: it has five.
    student, teacher = _network(3, seed=1), _network(3, num_classes=5, seed=2)
    method = training.RRM(student, teacher, cross_entropy_weight=0.5, weight=2.0)
    assert method.projection is None
    terms, logits = _terms(method, IMAGES, LABELS)
    ours, theirs = (
        PIXELS @ network.get_layer("features").kernel.numpy()
        for network in (student, teacher)
    )
    expected = 2 * (1 - _cosine(ours, theirs))
    np.testing.assert_allclose(terms["representation"], expected, rtol=1e-4)
    np.testing.assert_allclose(logits, student(IMAGES), atol=1e-6)
    gap = (logits[:, 1] - logits[:, 0]) * np.array([1, -1])
    expected = 0.5 * np.logaddexp(0, gap)
    np.testing.assert_allclose(terms["cross_entropy"], expected, rtol=1e-4)


def test_features_of_other_sizes_are_projected_by_a_layer_that_is_trained():
    student, teacher = _network(3, seed=1), _network(4, seed=2)
    method = training.RRM(student, teacher)
    kernel = np.random.default_rng(3).normal(size=(3, 4)).astype("float32")
    bias = np.array([0.1, -0.2, 0.3, 0.0], "float32")
    method.projection.set_weights([kernel, bias])
    terms, _ = _terms(method, IMAGES, LABELS)
    ours = PIXELS @ student.get_layer("features").kernel.numpy() @ kernel + bias
    theirs = PIXELS @ teacher.get_layer("features").kernel.numpy()
    expected = 1 - _cosine(ours, theirs)
    np.testing.assert_allclose(terms["representation"], expected, rtol=1e-4)
    # It belongs to the method, and not to the student.
    names = [v.path for v in method.trained_variables]
    assert names[:3] == [v.path for v in student.trainable_variables]
    assert len(names) == 5 and len(student.weights) == 3


def test_features_that_vanish_have_no_direction_and_no_infinite_derivative():
    student = _network(3, seed=1)
    student.get_layer("features").kernel.assign(np.zeros((2, 3)))
    method = training.RRM(student, _network(3, seed=2))
    variables = [v.value for v in student.trainable_variables]
    with tf.GradientTape() as tape:
        terms, _, _ = method.loss_terms(
            *method.prepare(IMAGES, LABELS, phase="train", seed=SEED)[:1],
            LABELS,
            method.teacher_features(IMAGES),
            **CALL,
        )
        total = tf.reduce_sum(terms["representation"])
    np.testing.assert_allclose(terms["representation"], [1, 1])
    gradients = tape.gradient(total, variables, unconnected_gradients="zero")
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize("kind", ["functional", "nested", "linear_activation"])
def test_features_and_logits_share_the_layers_of_the_network(kind):
    network = _network(3)
    if kind != "functional":
        images = keras.Input((1, 2, 1))
        logits = network(layers.Rescaling(2.0)(images))
        if kind == "linear_activation":
            logits = layers.Activation("linear", dtype="float32")(logits)
        network = keras.Model(images, logits)
    features, logits = features_and_logits(network)(IMAGES)
    np.testing.assert_allclose(logits, network(IMAGES), atol=1e-6)
    np.testing.assert_allclose(features, before_logits(network)(IMAGES), atol=1e-6)
    network.set_weights([2 * w for w in network.get_weights()])
    doubled, _ = features_and_logits(network)(IMAGES)
    np.testing.assert_allclose(doubled, 2 * features.numpy(), rtol=1e-5)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="teacher input: found"):
        training.RRM(_network(3), _network(3, shape=(2, 2, 1)))
    images = keras.Input((4, 4, 1))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(images))
    headless = keras.Model(images, pooled, name="headless")
    with pytest.raises(ValueError, match="The student 'headless' ends in Global"):
        training.RRM(headless, _network(3, shape=(4, 4, 1)))
    with pytest.raises(ValueError, match="weight=-1.0"):
        training.RRM(_network(3), _network(3), weight=-1.0)


def test_fit_trains_student_and_projection_and_not_the_teacher(digits):
    student = models.small_cnn(
        num_classes=2, image_shape=(8, 8, 1), filters=(4,), hidden_units=6
    )
    teacher = models.wide_resnet(
        depth=8, width=1, num_classes=10, image_shape=(8, 8, 1)
    )
    method = training.RRM(student, teacher)
    watched = (student, method.projection, teacher)
    before = [[w.copy() for w in part.get_weights()] for part in watched]
    method.compile(keras.optimizers.SGD(0.1))
    batches = data.evaluation_batches(digits.train, 32)
    history = method.fit(batches, epochs=1, verbose=0).history
    assert np.isfinite([v[0] for v in history.values()]).all()
    changed = [
        any((a != b).any() for a, b in zip(old, part.get_weights(), strict=True))
        for old, part in zip(before, watched, strict=True)
    ]
    assert changed == [True, True, False]
