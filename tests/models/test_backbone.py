"""Networks of keras.applications as students, fresh and pretrained."""

import keras
import numpy as np
import pytest
import small_models
from network_checks import check_trains_under_igam
from small_models import set_seed

from igam_tf import attacks, data, models, training

MOBILE_NET = keras.applications.mobilenet_v2


def _first_blocks():
    """MobileNetV2 up to its fourth block: the rest is more of the same layers."""
    whole = MOBILE_NET.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
    )
    return keras.Model(whole.inputs, whole.get_layer("block_3_project_BN").output)


def test_mobilenet_is_a_student_of_igam():
    backbone = _first_blocks()
    student = models.with_backbone(
        backbone,
        num_classes=2,
        image_shape=(32, 32, 3),
        preprocess=MOBILE_NET.preprocess_input,
    )
    images = np.random.default_rng(0).random((4, 32, 32, 3)).astype("float32")
    expected = backbone(images * 2 - 1).numpy()
    expected = student.get_layer("logit")(expected.mean(axis=(1, 2)))
    np.testing.assert_allclose(student(images), expected, atol=1e-5)
    teacher = models.small_cnn(num_classes=5, image_shape=(32, 32, 3), filters=(4,))
    check_trains_under_igam(student, teacher, images)


def _digits_of(split):
    """A split of the digits as arrays: [0, 1] images and labels."""
    return next(data.evaluation_batches(split, len(split.labels)).as_numpy_iterator())


def _student(weights=None):
    """The first blocks behind their preprocessing, for 8x8 digits, shown at 32x32."""
    backbone = _first_blocks()
    if weights is not None:
        backbone.load_weights(weights)
    return models.with_backbone(
        backbone, num_classes=10, image_shape=(8, 8, 1),
        preprocess=MOBILE_NET.preprocess_input,
    )  # fmt: skip


def _fit(method, images, labels, epochs):
    method.compile(keras.optimizers.Adam(2e-3), metrics=["accuracy"])
    return method.fit(images, labels, batch_size=32, epochs=epochs, verbose=0).history


def _igam(student, teacher):
    set_seed(3)
    return training.IGAM(
        student, teacher, models.discriminator(gradient_shape=(8, 8, 1), channels=(4,)),
        pixel_range=1.0, input_gradient_of="loss", difference_reduction="mean",
        difference_weight=1.0, adversarial_weight=0.1,
    )  # fmt: skip


def test_igam_with_a_pretrained_backbone(tmp_path):
    """Pretrained here on reading digits, saved, loaded; then 320 images under IGAM.

    No weights of ImageNet: tests download nothing.
    """
    source = data.read("digits", None)
    images, digit = _digits_of(source.train)
    set_seed(1)
    trained = _student()
    history = _fit(training.StandardTraining(trained), images, digit, epochs=4)
    # 0.93 and 0.94 with two seeds; chance is 0.1.
    assert history["accuracy"][-1] > 0.8
    (backbone,) = [x for x in trained.layers if isinstance(x, keras.Model)]
    backbone.save_weights(tmp_path / "backbone.weights.h5")

    teacher = models.small_cnn(num_classes=10, image_shape=(8, 8, 1), filters=(8, 16))
    attack = attacks.pgd(eps=0.1, num_steps=3)
    _fit(training.AdversarialTraining(teacher, attack), images, digit, epochs=2)

    student = _student(tmp_path / "backbone.weights.h5")
    (inside,) = [x for x in student.layers if isinstance(x, keras.Model)]
    for a, b in zip(inside.get_weights(), backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # Behind the same logits, it is the network that was trained.
    student.get_layer("logit").set_weights(trained.get_layer("logit").get_weights())
    np.testing.assert_allclose(student(images[:9]), trained(images[:9]), atol=1e-5)

    # Then from fresh weights, in the method that is traced already.
    fresh, method, reached = _student().get_weights(), _igam(student, teacher), {}
    method.compile(keras.optimizers.Adam(2e-3), metrics=["accuracy"])
    rewind = small_models.rewinding(method)
    for name in ("pretrained", "fresh"):
        rewind()
        if name == "fresh":
            student.set_weights(fresh)
        before = inside.get_weights()
        history = method.fit(
            images[:320], digit[:320], batch_size=32, verbose=0
        ).history
        assert all(np.isfinite(values).all() for values in history.values())
        assert any((a != b).any() for a, b in zip(before, inside.get_weights()))
        (reached[name],) = history["accuracy"]
    # One begins where the other would be after many epochs.
    assert reached["pretrained"] > reached["fresh"] + 0.2, reached


def test_size_and_channels_are_fitted():
    features = models.small_cnn(num_classes=4, image_shape=(16, 16, 3), filters=(4,))
    model = models.with_backbone(features, num_classes=2, image_shape=(8, 8, 1))
    assert model(np.zeros((2, 8, 8, 1), "float32")).shape == (2, 2)
    with pytest.raises(ValueError, match="2 channels"):
        models.with_backbone(features, num_classes=2, image_shape=(8, 8, 2))
    deep = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Reshape((2, 2, 2, 2))]
    )
    with pytest.raises(ValueError, match="expected features"):
        models.with_backbone(deep, num_classes=2, image_shape=(4, 4, 1))


def test_tokens_are_pooled():
    """Four tokens of four units: the rows of an image, in grey levels."""
    rows = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Reshape((4, 4))])
    images = np.random.default_rng(0).random((3, 4, 4, 1)).astype("float32")
    for pooling, pooled in (("mean", images.mean(axis=1)), ("first", images[:, 0])):
        model = models.with_backbone(
            rows, num_classes=2, image_shape=(4, 4, 1), pooling=pooling
        )
        kernel, _ = model.get_layer("logit").get_weights()
        expected = 255 * pooled[..., 0] @ kernel
        np.testing.assert_allclose(model(images), expected, rtol=1e-4, atol=1e-3)
        # Of Keras' layers only: the file loads anywhere.
        assert keras.Model.from_config(model.get_config()).output_shape == (None, 2)
    with pytest.raises(ValueError, match="pooling='last'.*expected 'mean'"):
        models.with_backbone(rows, num_classes=2, image_shape=(4, 4, 1), pooling="last")
