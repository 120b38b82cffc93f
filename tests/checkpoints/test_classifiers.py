"""Classifiers of one's own: other pixels, endings, outputs, formats, classes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf import checkpoints
from igam_tf.checkpoints import CheckpointError, load_classifier

SHAPE = (5, 4, 2)


@pytest.fixture(name="model", scope="module")
def _model():
    return linear_model(SHAPE, num_classes=4)[0]


@pytest.fixture(name="x", scope="module")
def _x():
    return np.random.default_rng(0).random((2, *SHAPE)).astype("float32")


def ending_in(model, *layers):
    return keras.Sequential([keras.Input(SHAPE), *model.layers, *layers])


def test_grey_levels_and_probabilities(model, x, tmp_path):
    probabilities = ending_in(model, keras.layers.Softmax())
    images = keras.Input(SHAPE)
    scaled = probabilities(keras.layers.Rescaling(1 / 255)(images))
    keras.Model(images, scaled).save(tmp_path / "mine.keras")
    found = load_classifier(
        tmp_path / "mine.keras", input_range=(0, 255), outputs="probabilities"
    )
    np.testing.assert_allclose(found(x), model(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(CheckpointError, match="--outputs=probabilities"):
        load_classifier(tmp_path / "mine.keras", input_range=(0, 255))
    model.save(tmp_path / "logits.keras")
    with pytest.raises(CheckpointError, match="logits.keras.*expected a softmax"):
        load_classifier(tmp_path / "logits.keras", outputs="probabilities")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_number_an_image(activation, x, tmp_path):
    single = linear_model(SHAPE, num_classes=1)[0]
    last = keras.layers.Activation(activation or "linear")
    ending_in(single, last).save(tmp_path / "binary.keras")
    said = []
    found = load_classifier(
        tmp_path / "binary.keras",
        outputs="probabilities" if activation else "logits",
        say=said.append,
    )
    expected = np.concatenate([np.zeros((2, 1)), single(x)], axis=1)
    logits = np.asarray(found(x))
    np.testing.assert_allclose(logits - logits[:, :1], expected, rtol=1e-4, atol=1e-5)
    assert "one number an image" in said[0]


def test_hdf5(model, x, tmp_path):
    model.save(tmp_path / "mine.h5")
    np.testing.assert_array_equal(load_classifier(tmp_path / "mine.h5")(x), model(x))
    loaded = checkpoints.load(tmp_path / "mine.h5")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert len(checkpoints.digest(tmp_path / "mine.h5")) == 64
    model.save_weights(tmp_path / "mine.weights.h5")
    with pytest.raises(CheckpointError, match="weights without their network"):
        load_classifier(tmp_path / "mine.weights.h5")


def test_a_saved_model(model, x, tmp_path):
    tf.saved_model.save(model, str(tmp_path / "saved"))
    found = load_classifier(tmp_path / "saved", image_shape=SHAPE)
    np.testing.assert_allclose(found(x), model(x), rtol=1e-5)
    images = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(images)
        first = found(images)[:, 0]
    kernel = model.layers[-1].kernel[:, 0]
    expected = np.tile(np.reshape(kernel, SHAPE), (2, 1, 1, 1))
    np.testing.assert_allclose(tape.gradient(first, images), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="pass image_shape"):
        load_classifier(tmp_path / "saved")
    with pytest.raises(CheckpointError, match=r"images of shape \(9, 9, 2\)"):
        load_classifier(tmp_path / "saved", image_shape=(9, 9, 2))


def test_a_saved_model_without_gradient(tmp_path):
    class Rounded(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, *SHAPE))])
        def __call__(self, images):
            pixels = tf.cast(tf.cast(images, tf.int32), tf.float32)
            return {"logits": tf.reshape(pixels, (-1, 40))}

    module = Rounded()
    tf.saved_model.save(module, str(tmp_path), signatures=module.__call__)
    with pytest.raises(CheckpointError, match="has no gradient"):
        load_classifier(tmp_path, image_shape=SHAPE)


def test_several_outputs(model, x, tmp_path):
    images = keras.Input(SHAPE)
    flat = keras.layers.Flatten()(images)
    two = [keras.layers.Dense(n, name=name)(flat) for n, name in ((2, "a"), (3, "b"))]
    network = keras.Model(images, two)
    network.save(tmp_path / "list.keras")
    keras.Model(images, {"first": two[0], "second": two[1]}).save(
        tmp_path / "dict.keras"
    )
    for name, file in (("b", "list.keras"), ("second", "dict.keras")):
        found = load_classifier(tmp_path / file, output=name)
        np.testing.assert_allclose(found(x), network(x)[1], rtol=1e-5)
    with pytest.raises(CheckpointError, match="outputs 'a', 'b'.*--output"):
        load_classifier(tmp_path / "list.keras")
    with pytest.raises(CheckpointError, match="outputs 'first', 'second'"):
        load_classifier(tmp_path / "dict.keras", output="third")
    model.save(tmp_path / "one.keras")
    assert load_classifier(tmp_path / "one.keras").output_shape == (None, 4)


@keras.saving.register_keras_serializable("test_classifiers")
class Own(keras.Model):
    """A model of a class of its own, which returns a dict."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(4)

    def call(self, images):
        flat = self.flatten(images)
        return {"logits": self.dense(flat), "features": flat}


def test_a_class_of_its_own(x, tmp_path):
    own = Own()
    expected = own(x)["logits"]
    own.save(tmp_path / "own.keras")
    found = load_classifier(tmp_path / "own.keras", image_shape=SHAPE, output="logits")
    np.testing.assert_allclose(found(x), expected, rtol=1e-5)
    assert found.input_shape == (None, *SHAPE) and found.output_shape == (None, 4)
    with pytest.raises(ValueError, match="Own, a class of its own.*image_shape"):
        load_classifier(tmp_path / "own.keras", output="logits")
    with pytest.raises(CheckpointError, match="'features', 'logits'|'logits', 'featu"):
        load_classifier(tmp_path / "own.keras", image_shape=SHAPE)


def test_channels_first_are_transposed(x, tmp_path):
    first = linear_model((2, 5, 4), num_classes=4)[0]
    first.save(tmp_path / "first.keras")
    said = []
    found = load_classifier(
        tmp_path / "first.keras", image_shape=SHAPE, say=said.append
    )
    np.testing.assert_allclose(found(x), first(np.moveaxis(x, -1, 1)), rtol=1e-5)
    assert "channels first" in said[0] and "transposed" in said[0]
    wide = linear_model((3, 32, 32), num_classes=2)[0]
    wide.save(tmp_path / "wide.keras")
    with pytest.raises(CheckpointError, match="channels first"):
        load_classifier(tmp_path / "wide.keras")


def test_what_works_in_training_only_is_named(model, x, tmp_path):
    images = keras.Input(SHAPE)
    changed = keras.layers.RandomFlip()(keras.layers.Dropout(0.5)(images))
    keras.Model(images, model(changed)).save(tmp_path / "random.keras")
    said = []
    found = load_classifier(tmp_path / "random.keras", say=said.append)
    assert "Dropout, RandomFlip" in said[0] and "inference mode" in said[0]
    np.testing.assert_allclose(found(x, training=False), model(x), rtol=1e-5)


def test_no_classifier(tmp_path):
    images = keras.Input(SHAPE)
    keras.Model(images, keras.layers.Conv2D(2, 1)(images)).save(tmp_path / "map.keras")
    with pytest.raises(CheckpointError, match="expected a classifier from images"):
        load_classifier(tmp_path / "map.keras")
    other = keras.Input((2,))
    keras.Model([images, other], keras.layers.Dense(2)(other)).save(
        tmp_path / "two.keras"
    )
    with pytest.raises(CheckpointError, match="takes 2 inputs"):
        load_classifier(tmp_path / "two.keras")
