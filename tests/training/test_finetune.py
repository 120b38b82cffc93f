"""Finetuning: a new logit layer on a frozen copy of the teacher."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import digits_net, set_seed

from igam_tf import attacks, data, models, training


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
    model = training.with_new_logits(digits_net(), num_classes=2, image_shape=(8, 8, 1))
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


def _linear_teacher(shape=(8, 8, 1)):
    return keras.Sequential(
        [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


class _Batches(keras.utils.PyDataset):
    def __init__(self, images, labels):
        super().__init__()
        self.images, self.labels = images, labels

    def __len__(self):
        return 2

    def __getitem__(self, index):
        rows = slice(4 * index, 4 * index + 4)
        return self.images[rows], self.labels[rows]


def test_arrays_and_other_data_are_taken():
    images = np.random.default_rng(0).random((8, 8, 8, 1)).astype("float32")
    labels = np.arange(8, dtype="int32") % 2
    dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(4)
    common = {"num_classes": 2, "epochs": 1, "verbose": 0, "shuffle": False}
    found = []
    for train, more in (
        (dataset, {}),
        ((images, labels), {"batch_size": 4}),
        (_Batches(images, labels), {}),
    ):
        set_seed(0)
        tuned = training.finetune(_linear_teacher(), train, **common, **more)
        found.append(tuned.layers[-1].get_weights())
    for weights in found[1:]:
        for ours, theirs in zip(weights, found[0], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-6)
    for wrong, words in (
        ([images, labels], "train=list: expected"),
        ((images[..., 0], labels), r"shape \(8, 8, 8\): expected batches"),
        (dataset.unbatch(), "batch a Dataset"),
    ):
        with pytest.raises(ValueError, match=words):
            training.finetune(_linear_teacher(), wrong, **common)


def test_one_of_several_outputs_is_not_guessed():
    images = keras.Input((8, 8, 1), name="images")
    x = keras.layers.Flatten()(images)
    heads = [keras.layers.Dense(3, name=f"head{i}")(x) for i in range(2)]
    teacher = keras.Model(images, heads)
    with pytest.raises(ValueError, match="2 outputs.*Choose"):
        training.with_new_logits(teacher, num_classes=2, image_shape=(8, 8, 1))
    chosen = keras.Model(teacher.inputs[0], teacher.outputs[0])
    tuned = training.with_new_logits(chosen, num_classes=2, image_shape=(8, 8, 1))
    assert tuned.output_shape == (None, 2)
    two = keras.Model([images, keras.Input((2,))], heads[0])
    with pytest.raises(ValueError, match="2 inputs"):
        training.with_new_logits(two, num_classes=2, image_shape=(8, 8, 1))


def test_channels_first_is_refused_on_either_side():
    words = r"channels first; expected .height, width, channels., \(32, 32, 3\)"
    for teacher, images in (((3, 32, 32), (32, 32, 3)), ((32, 32, 3), (3, 32, 32))):
        with pytest.raises(ValueError, match=words):
            training.with_new_logits(
                _linear_teacher(teacher), num_classes=2, image_shape=images
            )


def test_a_teacher_inside_of_another_model_is_taken_apart():
    """As one is that gets its preprocessing, or a turn of the axes, put in front."""
    inner = _linear_teacher((1, 8, 8))
    images = keras.Input((8, 8, 1))
    turned = keras.layers.Permute((3, 1, 2))(keras.layers.Rescaling(2.0)(images))
    teacher = keras.Model(images, keras.layers.Activation("linear")(inner(turned)))
    tuned = training.with_new_logits(teacher, num_classes=3, image_shape=(8, 8, 1))
    tuned.layers[-1].set_weights(inner.layers[-1].get_weights())
    given = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(tuned(given), teacher(given), atol=1e-5)


def test_a_teacher_around_a_backbone_keeps_its_features():
    """As transfer learning builds them: a Rescaling, a model inside, a head."""
    backbone = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.ReLU()]
    )
    images = keras.Input((8, 8, 1))
    pooled = keras.layers.GlobalAveragePooling2D()(
        backbone(keras.layers.Rescaling(2.0, -1.0)(images))
    )
    head = [keras.layers.Dropout(0.5), keras.layers.Dense(10)]
    teacher = keras.Model(images, keras.Sequential(head)(pooled))
    tuned = training.with_new_logits(teacher, num_classes=3, image_shape=(8, 8, 1))
    weights = [w[..., :3] for w in head[-1].get_weights()]
    tuned.layers[-1].set_weights(weights)
    given = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(tuned(given), teacher(given)[:, :3], atol=1e-5)
    assert len(tuned.trainable_weights) == 2


def test_a_model_without_inputs_is_refused():
    teacher = keras.Sequential([_linear_teacher((8, 8, 1))])
    with pytest.raises(ValueError, match="no inputs yet.*keras.Input"):
        training.with_new_logits(teacher, num_classes=3, image_shape=(8, 8, 1))


def test_a_model_of_ones_own_class_is_refused():
    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ValueError, match="model of its own class"):
        training.with_new_logits(Own(), num_classes=2, image_shape=(8, 8, 1))


def test_what_was_chosen_and_what_is_dropped_is_said(capsys):
    images = np.random.default_rng(0).random((4, 20, 20, 3)).astype("float32")
    train = (images, np.zeros(4, "int32"))
    training.finetune(_linear_teacher(), train, num_classes=2, epochs=1)
    said = capsys.readouterr().out
    assert "auto = mean_channels+smooth_resize" in said
    assert "(20, 20, 3) to (8, 8, 1)" in said and "all pixels" in said
    with pytest.warns(UserWarning, match="'center_crop' drops 84 % .*crop"):
        training.finetune(
            _linear_teacher(), train, num_classes=2, epochs=1, verbose=0,
            input_transform="center_crop",
        )  # fmt: skip
    assert "Input transform" not in capsys.readouterr().out


def _at_random_places(teacher_shape=(14, 14, 1)):
    """A teacher of larger images behind random padding, which tells places apart."""
    set_seed(0)
    teacher = models.small_cnn(num_classes=3, image_shape=teacher_shape)
    return training.with_new_logits(
        teacher, num_classes=2, image_shape=(8, 8, 1), input_transform="random_pad"
    )


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("loaded", [False, True])
def test_random_padding_is_random_in_finetuning_and_not_in_evaluation(
    digits, tmp_path, loaded
):
    model = _at_random_places()
    if loaded:
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras", compile=False)
    method = training.StandardTraining(model)
    method.compile(keras.optimizers.SGD(0.0))
    images = digits.train.images[:8].astype(np.float32) / np.float32(255)
    batch = images, digits.train.labels[:8]
    # Nothing is learned at the rate 0: only the places differ from step to step.
    first, second = (method.train_on_batch(*batch)[0] for _ in range(2))
    evaluated = [method.test_on_batch(*batch)[0] for _ in range(2)]
    assert abs(first - second) > 1e-5
    assert evaluated[0] == evaluated[1]


@pytest.mark.usefixtures("eagerly")
def test_the_step_trains_on_the_places_that_its_attack_saw():
    model, seen = _at_random_places(), []
    features = model.get_layer("frozen_teacher")
    inner = features.call

    def call(images, *args, **kwargs):
        seen.append(np.asarray(images) > 0)
        return inner(images, *args, **kwargs)

    features.call = call
    method = training.AdversarialTraining(model, attacks.fgsm(eps=0.01))
    method.compile(keras.optimizers.SGD(0.0))
    seen.clear()
    method.train_on_batch(np.full((6, 8, 8, 1), 0.5, np.float32), np.zeros(6, int))
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], seen[1])
    assert len({image.tobytes() for image in seen[0]}) > 1
