"""What controls match instead of the teacher's gradients, by hand, in both methods."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import data, gradients, models, training
from igam_tf.training.matched import MATCHED_TO

SHAPE = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
METHODS = ("igam", "kdiga")
OF = {"igam": "probability", "kdiga": "loss"}


@pytest.fixture
def make(make_igam):
    def made(method, matched_to):
        if method == "igam":
            return make_igam(matched_to=matched_to)
        set_seed(3)
        student = models.small_cnn(num_classes=2, activation="gelu", **SHAPE)
        teacher = models.small_cnn(num_classes=2, **SHAPE)
        kdiga = training.KDIGA(student, teacher, matched_to=matched_to)
        kdiga.compile(keras.optimizers.SGD(0.05))
        return kdiga

    return made


def batch(digits, matched_to):
    partners = matched_to if matched_to.endswith("class") else None
    batches = data.training_batches(
        digits.train, 16, augmentation=data.Augmentation(), seed=1, partners=partners
    )
    return next(iter(batches))


@pytest.mark.parametrize("matched_to", MATCHED_TO)
@pytest.mark.parametrize("name", METHODS)
def test_what_the_student_is_matched_to(name, matched_to, digits, make):
    method, (images, labels) = make(name, matched_to), batch(digits, matched_to)
    alone, of = images, (images, labels)
    if matched_to.endswith("class"):
        alone, *of = images
    wanted = gradients.input_gradient(method.teacher, *of, of=OF[name]).numpy()
    if matched_to == "zero":
        wanted = np.zeros_like(wanted)
    seen, targets = method.prepare(
        images, labels, phase="matching", seed=tf.constant([0, 0])
    )
    np.testing.assert_array_equal(seen, alone)
    np.testing.assert_allclose(targets[0], wanted, atol=1e-7)
    # The distilled logits stay those of the image itself.
    np.testing.assert_allclose(targets[1], method.teacher(alone), atol=1e-5)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("matched_to", MATCHED_TO[1:])
@pytest.mark.parametrize("name", METHODS)
def test_controls_train_another_student(name, matched_to, digits, make):
    weights = []
    for other in ("teacher", matched_to):
        method = make(name, other)
        partners = other if other.endswith("class") else None
        batches = data.training_batches(
            digits.train,
            16,
            augmentation=data.Augmentation(),
            seed=1,
            partners=partners,
        )
        method.fit(
            batches,
            steps_per_epoch=3,
            verbose=0,
            validation_data=data.evaluation_batches(digits.test, 16),
        )
        weights.append(
            np.concatenate([w.ravel() for w in method.student.get_weights()])
        )
    assert np.isfinite(weights).all()
    assert np.abs(weights[0] - weights[1]).max() > 1e-6


def test_the_discriminator_is_fed_with_the_control(digits, make):
    method, (images, labels) = make("igam", "zero"), batch(digits, "zero")
    prepared = method.prepare(
        images, labels, phase="matching", seed=tf.constant([0, 0])
    )
    _, second = method.discriminator_inputs(prepared[0], labels, prepared[1])
    assert not second.numpy().any()


@pytest.mark.parametrize("name", METHODS)
def test_partners_that_do_not_belong_are_refused(name, digits, make):
    for method, data_of in (("zero", "same_class"), ("same_class", "zero")):
        images, labels = batch(digits, data_of)
        with pytest.raises(ValueError, match="partners="):
            make(name, method).prepare(
                images, labels, phase="matching", seed=tf.constant([0, 0])
            )
    with pytest.raises(ValueError, match="matched_to='noise'"):
        make(name, "noise")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("name", METHODS)
def test_data_with_partners_is_evaluated_as_the_images_alone(name, digits, make):
    method = make(name, "same_class")
    images, labels = batch(digits, "same_class")
    pairs = tf.data.Dataset.from_tensors((images, labels))
    found = method.evaluate(pairs, verbose=0)
    alone = method.evaluate(images[0].numpy(), labels.numpy(), verbose=0)
    np.testing.assert_allclose(found, alone, atol=1e-6)
