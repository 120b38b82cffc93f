"""Distances of the directions of gradients, by hand, and as the term of a method."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import experiment, gradients, models, training
from igam_tf.training import distances

SHAPE = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
BOTH = pytest.mark.parametrize("distance", distances.OF_DIRECTIONS)


def _of(first, second, distance, pixel_range=1.0):
    pair = (
        tf.constant(values, tf.float32)[:, None, :, None] for values in (first, second)
    )
    return distances.between_directions(
        *pair, distance=distance, pixel_range=pixel_range
    ).numpy()


def _from_cosines(cosines, distance):
    distant = 1 - np.asarray(cosines)
    return distant if distance == "cosine" else np.sqrt(2 * distant)


@BOTH
def test_of_vectors_whose_cosine_is_known(distance):
    first = np.array([[3.0, 4.0], [3.0, 4.0], [1.0, 1.0], [3.0, 4.0], [0.0, 0.0]])
    second = np.array([[4.0, 3.0], [-4.0, 3.0], [-7.0, -7.0], [0.0, 0.0], [0.0, 0.0]])
    # What vanishes is as far away from everything as from what is at a right angle.
    wanted = _from_cosines([24 / 25, 0, -1, 0, 0], distance)
    np.testing.assert_allclose(_of(first, second, distance), wanted, rtol=1e-5)
    # Sizes do not matter, nor the unit of the pixels.
    sizes = np.array([[2e-2], [30.0], [5.0], [1.0], [1.0]])
    np.testing.assert_allclose(_of(sizes * first, second, distance), wanted, rtol=1e-4)
    found = _of(first / 255, second / 255, distance, pixel_range=255.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert _of(first[:1], first[:1], distance) == pytest.approx(0, abs=2e-3)


@BOTH
def test_no_gradient_is_nearer_when_it_shrinks(distance):
    """The derivative along the gradient is zero; the squared L2 distance has one."""
    first = tf.constant([[[[1.0], [2.0]]], [[[0.0], [0.0]]]])
    second = tf.constant([[[[2.0], [-1.0]]], [[[1.0], [0.0]]]])
    with tf.GradientTape() as tape:
        tape.watch(first)
        found = distances.between_directions(first, second, distance=distance)
    derivative = tape.gradient(found, first).numpy()
    assert np.abs(derivative[0]).max() > 0.1
    assert (derivative[0] * first[0]).numpy().sum() == pytest.approx(0, abs=1e-6)
    # Where the gradient vanishes, the derivative is defined, and zero.
    assert not derivative[1].any()
    assert 2 * ((first - second)[0] * first[0]).numpy().sum() > 1


def _kdiga(**kwargs):
    set_seed(3)
    student = models.small_cnn(num_classes=2, activation="gelu", **SHAPE)
    teacher = models.small_cnn(num_classes=2, **SHAPE)
    return training.KDIGA(student, teacher, gradient_weight=3.0, **kwargs)


def _difference(method, digits):
    """Mean over 16 images of the term; and the two gradients."""
    images = tf.constant(digits.train.images[:16])
    labels = tf.constant(digits.train.labels[:16], tf.int32)
    of = getattr(method, "input_gradient_of", "loss")
    images, targets = method.prepare(
        images, labels, phase="matching", seed=tf.constant([0, 0])
    )
    terms, _, _ = method.loss_terms(
        images, labels, targets, phase="matching", global_batch=tf.constant(16.0)
    )
    pair = [
        gradients.input_gradient(model, images, labels, of=of).numpy()
        for model in (method.student, method.teacher)
    ]
    return terms["difference"], pair


@BOTH
@pytest.mark.parametrize("name", ["igam", "kdiga"])
def test_terms_and_their_second_derivative(name, distance, digits, make_igam):
    make = make_igam if name == "igam" else _kdiga
    method = make(distance=distance)
    variables = method.student.trainable_variables
    with tf.GradientTape() as tape:
        term, pair = _difference(method, digits)
        total = tf.reduce_mean(term)
    flat = [values.reshape(16, -1) for values in pair]
    cosine = (flat[0] * flat[1]).sum(axis=1) / np.prod(
        [np.linalg.norm(rows, axis=1) for rows in flat], axis=0
    )
    # IGAM's is a sum over the batch: 16 times a mean.
    weight = 3.0 * (16 if name == "igam" else 1)
    wanted = weight * _from_cosines(cosine, distance)
    np.testing.assert_allclose(term, wanted, rtol=1e-3)
    # The weights' gradient against a difference of losses along it.
    found = tape.gradient(
        total,
        [v.value for v in variables],
        unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    length = float(tf.linalg.global_norm(found))
    before, moved = [v.numpy() for v in variables], []
    for h in (1e-3, -1e-3):
        for variable, value, g in zip(variables, before, found, strict=True):
            variable.assign(value + h * g.numpy() / length)
        moved.append(_difference(method, digits)[0].numpy().astype("float64").mean())
    assert (moved[0] - moved[1]) / 2e-3 == pytest.approx(length, rel=2e-2)


@BOTH
def test_a_student_without_gradient_gets_a_finite_step(distance, digits, make_igam):
    method = make_igam(distance=distance)
    kernel = method.student.layers[-1].kernel
    kernel.assign(np.zeros(kernel.shape))
    with tf.GradientTape() as tape:
        term, _ = _difference(method, digits)
        total = tf.reduce_mean(term)
    # Nothing has a direction, and is as far away as at a right angle.
    np.testing.assert_allclose(term, 3.0 * 16 * _from_cosines(0.0, distance), rtol=1e-6)
    assert not tape.gradient(total, kernel.value).numpy().any()


def test_zero_has_no_direction(make_igam):
    for make in (make_igam, _kdiga):
        with pytest.raises(ValueError, match="no direction"):
            make(distance="cosine", matched_to="zero")
        with pytest.raises(ValueError, match="distance='sine'"):
            make(distance="sine")
    asked = {
        "source": "digits",
        "target": "digits_parity",
        "controls": ("natural_teacher", "zero", "shuffled"),
        "matching_distance": "cosine",
    }
    with pytest.raises(ValueError, match="controls=natural_teacher,shuffled$"):
        experiment.Experiment(methods=("igam",), **asked)
    # Of another row's setting nothing is said.
    found = experiment.Experiment(methods=("kdiga",), **asked)
    assert found.label("kdiga") == "KDIGA"
    assert found.label("igam-same_class") == "IGAM (cosine), same class"
