"""Logits of classifiers that end in a softmax, a sigmoid or one logit."""

import keras
import numpy as np
import pytest
from small_models import set_seed

import igam_tf
from igam_tf import checkpoints, models

IMAGES = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)


def body(*last):
    set_seed(0)
    layers = [keras.Input((6, 6, 1)), keras.layers.Conv2D(2, 3, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Flatten(), *last])


def functional(network, function, first=lambda x: x):
    images = keras.Input((6, 6, 1))
    return keras.Model(images, function(network(first(images))))


def augmented(network):
    """Its layer moves images, unless it is told that this is no training."""
    moved = keras.layers.RandomTranslation(0.5, 0.5, seed=0)
    model = functional(network, lambda x: x, moved)
    # As after a training: the layer's random numbers are not those of a copy.
    model(IMAGES, training=True)
    return model


def dense(units, activation=None):
    return keras.layers.Dense(units, activation=activation, bias_initializer="normal")


SOFTMAX = {
    "argument": lambda: body(dense(3, "softmax")),
    "activation": lambda: body(dense(3), keras.layers.Activation("softmax")),
    "layer": lambda: body(dense(3), keras.layers.Softmax()),
    "operation": lambda: functional(body(dense(3)), keras.ops.softmax),
    "inside": lambda: functional(body(dense(3, "softmax")), lambda x: x),
    "a layer as argument": lambda: body(dense(3, keras.layers.Softmax())),
    "a layer in a layer": lambda: body(
        dense(3), keras.layers.Activation(keras.layers.Activation("softmax"))
    ),
    "in float32": lambda: body(
        dense(3, "softmax"), keras.layers.Activation("linear", dtype="float32")
    ),
    "augmented": lambda: augmented(body(dense(3, "softmax"))),
}
SIGMOID = {
    "argument": lambda: body(dense(1, "sigmoid")),
    "activation": lambda: body(dense(1), keras.layers.Activation("sigmoid")),
    "operation": lambda: functional(body(dense(1)), keras.ops.sigmoid),
    "a layer as argument": lambda: body(dense(1, keras.layers.Activation("sigmoid"))),
    "augmented": lambda: augmented(body(dense(1, "sigmoid"))),
}


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", SOFTMAX)
def test_without_softmax(kind):
    model = SOFTMAX[kind]()
    assert models.output_activation(model) == "softmax"
    network = models.without_softmax(model)
    assert models.output_activation(network) == "linear"
    logits = network.predict(IMAGES, verbose=0)
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3
    np.testing.assert_allclose(
        softmax(logits), model.predict(IMAGES, verbose=0), atol=1e-6
    )


def test_the_given_model_stays_as_it_is(tmp_path):
    model = body(dense(3, "softmax"))
    before = model.predict(IMAGES, verbose=0)
    network = models.without_softmax(model)
    for variable in network.trainable_variables:
        variable.assign(variable + 1.0)
    np.testing.assert_array_equal(model.predict(IMAGES, verbose=0), before)
    network.save(tmp_path / "logits.keras")
    loaded = keras.models.load_model(tmp_path / "logits.keras")
    np.testing.assert_array_equal(
        loaded.predict(IMAGES, verbose=0), network.predict(IMAGES, verbose=0)
    )


@pytest.mark.parametrize("kind", SIGMOID)
def test_two_logits_of_a_sigmoid(kind):
    model = SIGMOID[kind]()
    network = models.two_logits(model)
    logits = network.predict(IMAGES, verbose=0)
    assert logits.shape == (5, 2)
    np.testing.assert_array_equal(logits[:, 0], 0.0)
    # Class 1 is what the sigmoid was the probability of.
    np.testing.assert_allclose(
        softmax(logits)[:, 1:], model.predict(IMAGES, verbose=0), atol=1e-6
    )


def test_two_logits_of_one():
    model = body(dense(1))
    logits = models.two_logits(model).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        logits[:, 1:], model.predict(IMAGES, verbose=0), atol=1e-6
    )
    pooled = functional(body(keras.layers.Reshape((4, 4, 2)), dense(1)),
                        keras.layers.GlobalAveragePooling2D())  # fmt: skip
    logits = models.two_logits(pooled).predict(IMAGES, verbose=0)
    np.testing.assert_allclose(
        logits[:, 1:], pooled.predict(IMAGES, verbose=0), atol=1e-6
    )


class OwnClass(keras.Model):
    def call(self, images):
        return images


@pytest.mark.parametrize(
    "function, model, message",
    [
        (
            models.without_softmax,
            lambda: body(dense(3)),
            "function linear: expected a so",
        ),
        (
            models.without_softmax,
            SIGMOID["argument"],
            "function sigmoid: expected a so",
        ),
        (models.two_logits, lambda: body(dense(3)), r"\(None, 3\) by a linear"),
        (models.two_logits, lambda: body(dense(1, "tanh")), r"\(None, 1\) by a tanh"),
        (models.without_softmax, OwnClass, "0 symbolic inputs and 0 outputs"),
    ],
)
def test_other_models_are_refused(function, model, message):
    with pytest.raises(ValueError, match=message):
        function(model())


@pytest.mark.parametrize(
    "ending",
    [
        [dense(3, keras.layers.Activation("sigmoid"))],
        [dense(3, "sigmoid"), keras.layers.Activation("linear", dtype="float32")],
    ],
    ids=["layer", "in float32"],
)
def test_a_hidden_sigmoid_is_no_logit(ending, tmp_path):
    """Evaluated as logits it would hide gradients, and pass for robust."""
    path = tmp_path / "model.keras"
    body(*ending).save(path)
    with pytest.raises(ValueError, match="ends in a sigmoid"):
        checkpoints.load_classifier(path)


@pytest.mark.parametrize("pack", [lambda x: {"logits": x}, lambda x: [x, x]])
def test_a_dict_or_several_outputs_are_told_how_to_become_one(pack):
    """By whatever looks at the classifier first, and not by TensorFlow."""
    images = keras.Input((6, 6, 1))
    model = keras.Model(images, pack(body(dense(3))(images)))
    labels = np.zeros(len(IMAGES), np.int32)
    with pytest.raises(ValueError, match=r"one_output\(model, name\)"):
        igam_tf.evaluate(model, (IMAGES, labels), ["clean"], progress=False)
    with pytest.raises(ValueError, match="expected.* logits"):
        igam_tf.StandardTraining(model)
    with pytest.raises(ValueError, match="features alone"):
        models.with_backbone(model, num_classes=2, image_shape=(6, 6, 1))
