"""Evaluation takes labels as data sets give them, and asks for logits of each class."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model, set_seed

import igam_tf
from igam_tf import attacks, evaluation, models

SHAPE = (2, 3, 1)
IMAGES = np.random.default_rng(0).random((12, *SHAPE), np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 12).astype(np.int32)
OTHERS = {"column": LABELS[:, None], "one-hot": np.eye(3, dtype=np.float32)[LABELS]}


def counts(data, model):
    found = igam_tf.evaluate(
        model, data, attacks=["clean", "fgsm"], batch_size=5, eps=0.1, progress=False
    )
    return found["num_examples"], found["worst_case"]["accuracy"]


@pytest.mark.parametrize("kind", OTHERS)
def test_evaluate(kind):
    model, _, _ = linear_model(SHAPE, 3)
    expected = counts((IMAGES, LABELS), model)
    assert counts((IMAGES, OTHERS[kind]), model) == expected
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, OTHERS[kind])).batch(4)
    assert counts(batches, model) == expected


@pytest.mark.parametrize("kind", OTHERS)
def test_attacks_and_panel(kind):
    model, _, _ = linear_model(SHAPE, 3)
    attack = attacks.pgd(eps=0.1, num_steps=2)
    np.testing.assert_array_equal(
        attack(model, IMAGES, OTHERS[kind]), attack(model, IMAGES, LABELS)
    )
    found = evaluation.masking_panel(model, (IMAGES, OTHERS[kind]), eps=0.1)
    assert found["num_examples"] == 12


def test_images_out_by_rounding_are_clipped():
    model, _, _ = linear_model(SHAPE, 3)
    images = np.where(IMAGES > 0.5, np.float32(1 + 1e-6), IMAGES)
    adversarial = attacks.pgd(eps=0.1, num_steps=2)(model, images, LABELS)
    assert adversarial.max() <= 1


@pytest.mark.parametrize("activation", [None, "sigmoid"])
def test_one_output_is_refused_with_the_way_out(activation):
    set_seed(0)
    layers = [keras.Input(SHAPE), keras.layers.Flatten()]
    model = keras.Sequential([*layers, keras.layers.Dense(1, activation=activation)])
    data = IMAGES, LABELS % 2
    with pytest.raises(ValueError, match=r"igam_tf\.models\.two_logits\(model\)"):
        counts(data, model)
    outputs = model.predict(IMAGES, verbose=0)[:, 0]
    right = (outputs > (0.5 if activation else 0.0)) == (LABELS % 2 == 1)
    found = igam_tf.evaluate(
        models.two_logits(model), data, attacks=["clean"], panel=False, progress=False
    )
    assert found["attacks"]["clean"]["accuracy"] == pytest.approx(
        right.mean(), abs=1e-4
    )


def test_a_softmax_is_refused_with_the_way_out():
    model, _, _ = linear_model(SHAPE, 3)
    expected = counts((IMAGES, LABELS), model)
    last = keras.Sequential([model, keras.layers.Softmax()])
    with pytest.raises(ValueError, match=r"igam_tf\.models\.without_softmax\(model\)"):
        counts((IMAGES, LABELS), last)
    assert counts((IMAGES, LABELS), models.without_softmax(last)) == expected
