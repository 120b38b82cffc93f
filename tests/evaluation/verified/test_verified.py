"""Verified bounds: never above the truth, and the truth where the network is linear."""

import keras
import numpy as np
import pytest
from small_models import digits_net, linear_model

import igam_tf
from igam_tf.evaluation.verified import PiecewiseLinear, margins, read_network, verify

EPS = {"linf": 0.07, "l2": 0.5, "l1": 1.5}


def in_ball(generator, image, eps, norm, count):
    """Points of the ball within [0, 1], many of them at its edge."""
    size = image.size
    if norm == "linf":
        change = generator.uniform(-eps, eps, (count, size))
        change[::2] = eps * generator.choice([-1, 1], (len(change[::2]), size))
    else:
        order = {"l2": 2, "l1": 1}[norm]
        change = generator.normal(size=(count, size))
        if norm == "l1":
            change[::2] *= generator.uniform(size=change[::2].shape) < 3 / size
        length = np.linalg.norm(change, order, axis=1, keepdims=True)
        change *= eps / np.maximum(length, 1e-9)
    return np.clip(image.reshape(1, -1) + change, 0, 1).reshape(-1, *image.shape)


def random_net(seed, sizes=(12, 20, 15, 4)):
    generator = np.random.default_rng(seed)
    return PiecewiseLinear(
        tuple(
            (generator.normal(size=(b, a)) / np.sqrt(a), 0.3 * generator.normal(size=b))
            for a, b in zip(sizes, sizes[1:])
        )
    )


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("seed", range(4))
def test_bounds_hold_at_thousands_of_points(seed, norm):
    """Of random networks in which most ReLUs have arguments of either sign."""
    network, generator = random_net(seed), np.random.default_rng(seed)
    image = generator.uniform(size=(3, 4, 1))
    for label in range(4):
        bound = margins(network, image, label, EPS[norm], norm)
        points = in_ball(generator, image, EPS[norm], norm, 3000)
        logits = network(points)
        least = (logits[:, [label]] - np.delete(logits, label, axis=1)).min(axis=0)
        assert (bound <= least + 1e-9).all()
        # A bound that says nothing would hold as well.
        assert (bound > least - 3).all()


@pytest.mark.parametrize("norm", EPS)
def test_a_linear_model_is_bounded_exactly(norm):
    model, weights, _ = linear_model((2, 3, 1), num_classes=3)
    image = np.full((2, 3, 1), 0.5)
    eps = EPS[norm]
    logits = model(image[None]).numpy()[0]
    difference = weights[:, [1]] - np.delete(weights, 1, axis=1)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    expected = (
        logits[1]
        - np.delete(logits, 1)
        - eps * np.linalg.norm(difference, dual, axis=0)
    )
    found = margins(read_network(model), image, 1, eps, norm)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_box_ends_at_black_and_white():
    network = PiecewiseLinear(((np.array([[1.0], [0.0]]), np.zeros(2)),))
    assert margins(network, np.array([0.1]), 0, 0.3, "linf")[0] == 0.0
    assert margins(network, np.array([0.9]), 1, 0.3, "linf")[0] == -1.0


def test_relus_by_hand():
    """relu(x - 0.5) is bounded by its chord; relus whose sign is known are exact."""
    hidden = (np.array([[1.0]]), np.array([-0.5]))
    output = (np.array([[0.0], [1.0]]), np.array([0.2, 0.0]))
    network = PiecewiseLinear((hidden, output))
    # logits[0] - logits[1] = 0.2 - relu(x - 0.5); x in [0.3, 0.7]: at least 0.0.
    assert margins(network, np.array([0.5]), 0, 0.2, "linf")[0] == pytest.approx(0.0)
    # logits[1] - logits[0] at x in [0.6, 1]: exact, 0.1 - 0.2.
    assert margins(network, np.array([0.8]), 1, 0.2, "linf")[0] == pytest.approx(-0.1)
    # Always off.
    assert margins(network, np.array([0.2]), 0, 0.2, "linf")[0] == pytest.approx(0.2)


def every_layer():
    images = keras.Input((8, 6, 2))
    x = keras.layers.Rescaling(2.0, -1.0)(images)
    x = keras.layers.ZeroPadding2D(((1, 0), (0, 2)))(x)
    x = keras.layers.Conv2D(3, 3, strides=2, activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.AveragePooling2D(2, padding="same")(x)
    x = keras.layers.Activation("relu")(x)
    inner = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Reshape((-1, 2))])
    x = keras.layers.Dropout(0.5)(keras.layers.Flatten()(inner(x)))
    return keras.Model(images, keras.layers.Dense(3)(x))


def test_matrices_are_the_model():
    model = every_layer()
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(
            generator.uniform(0.2, 1.0, weight.shape)
            * generator.choice(
                [1.0] if "variance" in weight.path else [-1.0, 1.0], weight.shape
            )
        )
    images = generator.uniform(size=(5, 8, 6, 2)).astype(np.float32)
    network = read_network(model)
    assert len(network.layers) == 3
    np.testing.assert_allclose(
        network(images), model(images, training=False).numpy(), rtol=1e-4, atol=1e-5
    )
    pooled = keras.Sequential(
        [keras.Input((4, 4, 2)), keras.layers.GlobalAveragePooling2D()]
    )
    images = images[:, :4, :4]
    np.testing.assert_allclose(
        read_network(pooled)(images), pooled(images).numpy(), rtol=1e-5
    )


def branches(images):
    x = keras.layers.Flatten()(images)
    return keras.layers.Add()([keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])


def seldom(images):
    """An operation that no random image of the comparison meets."""
    x = keras.layers.Dense(2)(keras.layers.Flatten()(images))
    return keras.ops.minimum(x, 100.0)


def in_half_precision(images):
    return keras.layers.Dense(2, dtype="float16")(keras.layers.Flatten()(images))


@pytest.mark.parametrize(
    "outputs, message",
    [
        (keras.layers.MaxPooling2D(), "is a layer MaxPooling2D"),
        (keras.layers.Dense(2, activation="gelu"), "has the activation gelu"),
        (keras.layers.ReLU(negative_slope=0.1), "is a layer ReLU"),
        (keras.layers.Conv2D(2, 1, groups=2), "has groups"),
        (branches, "has branches"),
        (seldom, "is an operation Minimum"),
        (in_half_precision, "computes in float16"),
    ],
)
def test_other_models_are_refused(outputs, message):
    images = keras.Input((4, 4, 2))
    model = keras.Model(images, outputs(images))
    with pytest.raises(ValueError, match=message + ".*by attacks alone"):
        read_network(model)


def test_a_class_of_its_own_is_refused():
    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ValueError, match="Own.*functional or Sequential"):
        read_network(Own())


def test_a_layer_counts_as_often_as_it_is_called():
    images, layer, relu = (
        keras.Input((2, 2, 1)),
        keras.layers.Dense(1),
        keras.layers.ReLU(),
    )
    x = keras.layers.Flatten()(relu(layer(relu(layer(images)))))
    model = keras.Model(images, x)
    # 0.9 x - 0.1 is above 0 at most images, so that a lost ReLU would hardly show.
    layer.set_weights([np.array([[0.9]]), np.array([-0.1])])
    network = read_network(model)
    assert len(network.layers) == 3
    dark = np.full((1, 2, 2, 1), 0.05, np.float32)
    np.testing.assert_allclose(network(dark), np.zeros((1, 4)), atol=1e-7)


def test_beside_attacks(tmp_path):
    """Of each image: verified only if no attack misleads, and the count is recorded."""
    from small_models import digits

    from igam_tf import reports
    from igam_tf.evaluation.outcomes import packed, unpacked
    from igam_tf.evaluation.verified.counting import contradictions

    images, labels = digits()
    data = (images[1200:1230], labels[1200:1230])
    result = igam_tf.evaluate(
        digits_net(), data, ("clean", "fgsm"), eps=0.02, verified=True,
        panel=False, progress=False,
    )  # fmt: skip
    found = result["verified"]
    bits = [
        unpacked(outcomes["correct"][name], 30)
        for outcomes, name in (
            (found["outcomes"], "verified"), (result["outcomes"], "fgsm"),
        )
    ]  # fmt: skip
    assert (bits[0] <= bits[1]).all()
    assert 0 < found["num_correct"] <= result["attacks"]["fgsm"]["num_correct"]
    assert found == {
        **verify(digits_net(), data, eps=0.02, progress=False),
        "seconds": found["seconds"],
    }
    rows = {"net": {"label": "Net", "evaluation": result}}
    table = reports.format_table({"title": "bounds", "rows": rows})
    assert "| verified |" in table and "Verified: a lower bound" in table
    assert contradictions(result) == []
    result["outcomes"]["correct"]["worst_case"] = packed(np.zeros(30, bool))
    assert (
        f"{found['num_correct']} images are verified, and yet"
        in (contradictions(result)[0])
    )
    # At eps 0 everything that is right is verified.
    assert (
        verify(digits_net(), data, eps=0.0, progress=False)["num_correct"]
        == (result["attacks"]["clean"]["num_correct"])
    )


def test_what_cannot_be_verified_is_refused_before_any_attack():
    images = keras.Input((4, 4, 1))
    outputs = keras.layers.Dense(2)(
        keras.layers.Flatten()(keras.layers.MaxPooling2D()(images))
    )
    model = keras.Model(images, outputs)
    data = (np.full((2, 4, 4, 1), 0.5, np.float32), np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="MaxPooling2D"):
        igam_tf.evaluate(model, data, verified=True, progress=False)
    with pytest.raises(ValueError, match="batch_norm='batch'"):
        igam_tf.evaluate(
            linear_model((4, 4, 1))[0], data, verified=True, batch_norm="batch",
            progress=False,
        )  # fmt: skip
