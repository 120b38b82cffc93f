"""Student, teacher and discriminator have weights of their own, or are refused."""

import keras
import pytest

from igam_tf import attacks, models, training

pytestmark = pytest.mark.fast

PGD = attacks.pgd(eps=0.1, num_steps=1)


def _backbone(**kwargs):
    return keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(4)],
        **kwargs,
    )


def _network(backbone=None, norm=None):
    images = keras.Input((4, 4, 1))
    features = (backbone or _backbone())(images)
    if norm is not None:
        features = norm(features)
    return keras.Model(images, keras.layers.Dense(2)(features))


METHODS = {
    "IGAM": lambda student, teacher: training.IGAM(student, teacher, _network()),
    "KDIGA": training.KDIGA,
    "RRM": training.RRM,
    "RSLAD": lambda student, teacher: training.RSLAD(student, teacher, PGD),
    "IGDM": lambda student, teacher: training.IGDM(student, teacher, PGD),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_teacher_that_would_move_with_the_student_is_refused(name):
    student = _network()
    with pytest.raises(ValueError, match="one and the same model.*copy_network"):
        METHODS[name](student, student)
    shared = _backbone()
    with pytest.raises(ValueError, match="2 trained weights in common, such as .*kern"):
        METHODS[name](_network(shared), _network(shared))
    METHODS[name](student, models.copy_network(student))


def test_frozen_weights_may_be_shared():
    shared = _backbone()
    shared.trainable = False
    training.KDIGA(_network(shared), _network(shared))
    norm = keras.layers.BatchNormalization(center=False, scale=False)
    norm.trainable = False
    training.KDIGA(_network(norm=norm), _network(norm=norm))


def test_moving_statistics_move_too():
    norm = keras.layers.BatchNormalization(center=False, scale=False)
    with pytest.raises(ValueError, match="2 trained weights in common, .*moving_mean"):
        training.KDIGA(_network(norm=norm), _network(norm=norm))


def test_neither_is_the_discriminator_one_of_them():
    student, teacher = _network(), _network()
    for discriminator, role in ((student, "student"), (teacher, "teacher")):
        with pytest.raises(ValueError, match=f"^{role} .* discriminator .*the same"):
            training.IGAM(student, teacher, discriminator)
    with pytest.raises(ValueError, match="the same model"):
        training.JARN(student, student)
