"""Finetuning: a new logit layer on a frozen copy of the teacher."""

import keras
import numpy as np
import pytest
from small_models import digits_net

from igam_tf import data, models, training


def _teacher(**kwargs):
    return models.wide_resnet(
        depth=8, width=1, image_shape=(8, 8, 1), normalization="standardize", **kwargs
    )


def test_only_the_new_logits_are_trained(digits):
    teacher = _teacher()
    before = teacher.get_weights()
    batches = data.evaluation_batches(digits.train, 16)
    finetuned = training.finetune(teacher, batches, num_classes=2, epochs=1, verbose=0)
    assert [v.path for v in finetuned.trainable_variables] == [
        "target_task_logit/kernel",
        "target_task_logit/bias",
    ]
    frozen = finetuned.get_layer("frozen_teacher").get_weights()
    for a, b in zip(before, frozen, strict=False):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_given_teacher_stays_trainable():
    teacher = _teacher()
    trainable = len(teacher.trainable_variables)
    training.with_new_logits(teacher, num_classes=2, image_shape=(8, 8, 1))
    assert len(teacher.trainable_variables) == trainable == 23


def test_logits_come_from_the_same_features():
    teacher = _teacher()
    images = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    finetuned = training.with_new_logits(teacher, num_classes=10, image_shape=(8, 8, 1))
    finetuned.get_layer("target_task_logit").set_weights(
        teacher.get_layer("logit").get_weights()
    )
    np.testing.assert_allclose(finetuned(images), teacher(images), atol=1e-5)


def test_finetuning_learns(digits):
    batches = data.evaluation_batches(digits.train, 16)
    model = training.with_new_logits(
        digits_net(), num_classes=2, image_shape=(8, 8, 1)
    )
    method = training.StandardTraining(model)
    method.compile(training.finetuning_optimizer())
    history = method.fit(batches, epochs=20, verbose=0).history
    # 0.49 to 0.76 with twelve seeds; without training the losses are equal.
    assert history["loss"][-1] < 0.95 * history["loss"][0]


def test_the_transpose_convolution_is_trained_with_the_logits(digits):
    teacher = models.small_cnn(image_shape=(16, 16, 1))
    batches = data.evaluation_batches(digits.train, 16)
    finetuned = training.finetune(
        teacher, batches, num_classes=2, epochs=1, verbose=0,
        input_transform="transpose_conv",
    )  # fmt: skip
    assert len(finetuned.trainable_variables) == 4


def test_a_finetuned_teacher_is_saved_and_loaded(tmp_path):
    images = np.random.default_rng(0).random((3, 12, 12, 3)).astype("float32")
    model = training.with_new_logits(
        _teacher(), num_classes=2, image_shape=(12, 12, 3),
        input_transform="mean_channels+center_crop",
    )  # fmt: skip
    model.save(tmp_path / "finetuned.keras")
    loaded = keras.models.load_model(tmp_path / "finetuned.keras", compile=False)
    np.testing.assert_allclose(loaded(images), model(images), atol=1e-6)
    assert len(loaded.trainable_variables) == 2


def test_a_teacher_without_a_logit_layer():
    images = keras.Input((8, 8, 1))
    softmax = keras.layers.Softmax()(keras.layers.Flatten()(images))
    with pytest.raises(ValueError, match="ends in Softmax"):
        training.with_new_logits(
            keras.Model(images, softmax), num_classes=2, image_shape=(8, 8, 1)
        )
