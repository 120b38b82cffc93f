"""GradNorm, EdgeReg, JARN, KDIGA: losses by hand, and training in every setting."""

import functools

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf
from small_models import set_seed

from igam_tf import attacks, data, distribution, gradients, models, training
from igam_tf.training import edges, jarn

SHAPE = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
CALL = {"phase": "matching", "global_batch": 16.0}


def _student():
    set_seed(3)
    return models.small_cnn(num_classes=2, **SHAPE)


def _teacher():
    set_seed(5)
    return models.small_cnn(num_classes=2, name="teacher", **SHAPE)


def _discriminator():
    return models.discriminator(gradient_shape=(8, 8, 1), channels=(4, 4))


MAKERS = {
    "gradient_norm": lambda **kw: training.GradNorm(_student(), **kw),
    "double_backpropagation": lambda **kw: training.GradNorm(
        _student(),
        cross_entropy_weight=1.0,
        gradient_norm=training.GradientNormPenalty(norm="squared_l2", weight=0.1),
        **kw,
    ),
    "edges": lambda **kw: training.EdgeReg(_student(), **kw),
    "jarn": lambda **kw: training.JARN(
        _student(), _discriminator(), discriminator_every=2, **kw
    ),
    "kdiga": lambda **kw: training.KDIGA(_student(), _teacher(), **kw),
}


def _compiled(name, optimizer=None, *, compile_args=None, **kwargs):
    method = MAKERS[name](**kwargs)
    method.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9), **(compile_args or {})
    )
    return method


def _batch(digits, size=16):
    return next(iter(data.evaluation_batches(digits.train, size)))


def _terms(method, images, labels):
    seed = tf.constant([0, 0])
    images, targets = method.prepare(images, labels, phase="matching", seed=seed)
    terms, logits, _ = method.loss_terms(images, labels, targets, **CALL)
    return {k: v.numpy() for k, v in terms.items()}, logits.numpy(), targets


def _cross_entropy(logits, labels):
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return -log_p[np.arange(len(labels)), labels]


def _numerical_gradient(model, images, labels):
    """Of the loss w.r.t. the image, by central differences in float64 steps."""
    images, h = images.numpy().astype("float64"), 1e-3
    steps = h * np.eye(images[0].size).reshape(-1, 1, *images.shape[1:])
    losses = []
    for moved in (images + steps, images - steps):
        logits = model(moved.reshape(-1, *images.shape[1:]).astype("float32")).numpy()
        labels_of_all = np.tile(labels, len(steps))
        losses.append(_cross_entropy(logits.astype("float64"), labels_of_all))
    found = (losses[0] - losses[1]).reshape(len(steps), len(images)) / (2 * h)
    return found.T.reshape(images.shape)


def test_gradient_norm_is_the_l1_norm_of_the_gradient_of_the_loss(digits):
    images, labels = _batch(digits)
    method = _compiled("gradient_norm")
    terms, logits, _ = _terms(method, images, labels)
    gradient = _numerical_gradient(method.student, images, labels.numpy())
    expected = 1.2 * 4 / 255 * np.abs(gradient).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["input_gradient_norm"], expected, rtol=2e-2)
    expected = 0.8 * _cross_entropy(logits, labels.numpy())
    np.testing.assert_allclose(terms["cross_entropy"], expected, rtol=1e-4)


def test_double_backpropagation_is_the_squared_norm(digits):
    images, labels = _batch(digits)
    method = _compiled("double_backpropagation")
    terms, _, _ = _terms(method, images, labels)
    gradient = _numerical_gradient(method.student, images, labels.numpy())
    expected = 0.1 * np.square(gradient).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["input_gradient_norm"], expected, rtol=2e-2)


def test_the_ramp_counts_steps(digits):
    penalty = training.GradientNormPenalty(ramp_steps=4)
    found = [float(penalty.ramp(tf.constant(step))) for step in range(6)]
    assert found == [0.25, 0.5, 0.75, 1, 1, 1]
    assert training.GradientNormPenalty().ramp(0) == 1.0
    method = training.GradNorm(_student(), gradient_norm=penalty)
    method.compile(keras.optimizers.SGD(0.0))
    images, labels = _batch(digits)
    history = method.fit(images, labels, batch_size=16, epochs=5, verbose=0).history
    norms = history["input_gradient_norm"]
    np.testing.assert_allclose(np.divide(norms, norms[-1]), [0.25, 0.5, 0.75, 1, 1],
                               rtol=1e-5)  # fmt: skip


@pytest.mark.usefixtures("eagerly")
def test_gradient_norm_leaves_batch_statistics_alone(digits):
    def moved(batch_norm):
        student = models.wide_resnet(
            depth=8, width=1, num_classes=2, image_shape=(8, 8, 1)
        )
        penalty = training.GradientNormPenalty(batch_norm=batch_norm)
        method = training.GradNorm(student, gradient_norm=penalty)
        method.compile(keras.optimizers.SGD(0.01))
        layer = student.get_layer("unit_last_norm")
        before = layer.moving_mean.numpy()
        method.fit(*_batch(digits), batch_size=16, verbose=0)
        return (layer.moving_mean.numpy() != before).any()

    assert not moved("inference")
    assert moved("batch")


def test_averaged_weights_are_what_fit_leaves(digits):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    method = _compiled("gradient_norm", optimizer)
    batches = data.evaluation_batches(digits.train, 16)
    seen = []
    callback = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: seen.append(method.student.get_weights())
    )
    method.fit(batches, epochs=3, verbose=0, callbacks=[callback])
    last = seen[-1]
    averaged = method.student.get_weights()
    assert any((a != b).any() for a, b in zip(last, averaged, strict=True))


@pytest.mark.usefixtures("eagerly")
def test_a_penalty_adds_to_any_method(digits):
    images, labels = _batch(digits)
    penalty = training.GradientNormPenalty(weight=0.5)
    with_penalty = _compiled("kdiga", penalty=penalty)
    without = _compiled("kdiga")
    found, plain = (
        method.fit(images, labels, batch_size=16, verbose=0).history
        for method in (with_penalty, without)
    )
    gradient = gradients.input_gradient(_student(), images, labels, of="loss").numpy()
    expected = 0.5 * 4 / 255 * np.abs(gradient).sum(axis=(1, 2, 3)).mean()
    assert found["input_gradient_norm"][0] == pytest.approx(expected, rel=1e-4)
    assert found["loss"][0] - plain["loss"][0] == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("arguments", [
    {"norm": "l3"}, {"weight": -1.0}, {"batch_norm": "frozen"}, {"ramp_steps": -1},
])  # fmt: skip
def test_bad_penalties(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        training.GradientNormPenalty(**arguments)


def test_edge_energy_is_where_edges_are():
    images = np.zeros((1, 16, 16, 3), "float32")
    images[:, :, 8:] = 1.0
    energy = edges.edge_energy(tf.constant(images)).numpy()
    assert energy.shape == images.shape
    columns = energy[0, 8, :, 0]
    # Symmetric about the edge, between columns 7 and 8, and gone far from it.
    np.testing.assert_allclose(columns, columns[::-1], atol=1e-5)
    assert columns.argmax() in (7, 8) and columns[0] < 0.01 * columns.max()
    # A flat image has none.
    assert edges.edge_energy(tf.ones((1, 8, 8, 1))).numpy().max() < 1e-6


def test_edges_by_hand(digits):
    images, labels = _batch(digits)
    method = _compiled("edges")
    terms, logits, (energy, gumbel) = _terms(method, images, labels)
    chosen = (logits / 0.5 + gumbel.numpy()).argmax(axis=1)
    with tf.GradientTape() as tape:
        tape.watch(images)
        picked = tf.gather(method.student(images), chosen, axis=1, batch_dims=1)
        total = tf.reduce_sum(picked)
    g, e = tape.gradient(total, images).numpy(), energy.numpy()
    distance = np.square(g / np.sqrt((g**2).mean()) - e / np.sqrt((e**2).mean()))
    expected = 10 * distance.mean(axis=(1, 2, 3))
    np.testing.assert_allclose(terms["edges"], expected, rtol=1e-4)


def test_the_class_is_sampled_from_the_softmax_at_half_the_temperature(digits):
    method = _compiled("edges")
    images = tf.zeros((4000, 8, 8, 1))
    _, (_, gumbel) = method.prepare(
        images, None, phase="train", seed=tf.constant([1, 2])
    )
    logits = np.array([0.0, 0.4])
    chosen = (logits / 0.5 + gumbel.numpy()).argmax(axis=1)
    expected = 1 / (1 + np.exp(-0.8))
    assert chosen.mean() == pytest.approx(expected, abs=0.03)


def test_the_weight_of_edges_grows_linearly():
    method = training.EdgeReg(_student(), total_steps=10)
    method.compile(keras.optimizers.SGD(0.0))
    assert float(method.weight()) == 1.0
    method.optimizer.iterations.assign(9)
    assert float(method.weight()) == 10.0


def test_jarn_by_hand(digits):
    images, labels = _batch(digits)
    method = _compiled("jarn")
    method.adversarial_weight = 0.7
    terms, _, _ = _terms(method, images, labels)
    gradient = gradients.input_gradient(method.student, images, labels).numpy()
    centred = gradient - gradient.mean(axis=(1, 2, 3), keepdims=True)
    unit = centred / np.sqrt((centred**2).sum(axis=(1, 2, 3), keepdims=True))
    layer = method.adaptor.get_layer("adaptor")
    kernel, bias = (w.numpy() for w in layer.weights)
    looks = np.tanh(unit * kernel[0, 0, 0, 0] + bias)
    logits = method.discriminator(np.concatenate([looks, images]), training=True)
    gap = (logits[:, 1] - logits[:, 0]).numpy()
    loss = (np.logaddexp(0, gap[:16]) + np.logaddexp(0, -gap[16:])) / 2
    np.testing.assert_allclose(terms["adversarial"], -0.7 * loss, rtol=1e-3)


@pytest.mark.usefixtures("eagerly")
def test_jarns_adaptor_learns_only_while_matching(digits):
    def moved(start):
        method = _compiled("jarn", matching_start=start, weight_decay=0.1)
        before = method.adaptor.get_weights()
        method.fit(*_batch(digits), batch_size=16, verbose=0)
        after = method.adaptor.get_weights()
        return any((a != b).any() for a, b in zip(before, after, strict=True))

    assert moved(0)
    assert not moved(5)
    assert jarn.make_adaptor((8, 8, 3)).output_shape == (None, 8, 8, 3)


def test_kdiga_by_hand(digits):
    images, labels = _batch(digits)
    method = training.KDIGA(
        _student(), _teacher(), alpha=0.3, temperature=2.0, gradient_weight=5.0
    )
    method.compile(keras.optimizers.SGD(0.1))
    terms, logits, (teacher_gradient, teacher_logits) = _terms(method, images, labels)
    gradient = gradients.input_gradient(method.student, images, labels, of="loss")
    norm = np.sqrt(np.square(gradient - teacher_gradient).sum())
    assert terms["difference"].sum() == pytest.approx(5.0 * norm, rel=1e-4)
    ours, theirs = (keras.ops.softmax(x / 2).numpy() for x in (logits, teacher_logits))
    divergence = (ours * np.log(ours / theirs)).sum(axis=1)
    np.testing.assert_allclose(terms["distillation"], 0.3 * 4 * divergence, rtol=1e-3,
                               atol=1e-6)  # fmt: skip
    expected = 0.7 * _cross_entropy(logits, labels.numpy())
    np.testing.assert_allclose(terms["cross_entropy"], expected, rtol=1e-4)


@pytest.mark.parametrize("arguments", [{"alpha": 1.5}, {"temperature": 0.0}])
def test_bad_distillation(arguments):
    with pytest.raises(ValueError, match="alpha="):
        training.KDIGA(_student(), _teacher(), **arguments)


@pytest.mark.parametrize("name", MAKERS)
def test_second_derivatives(digits, name):
    """The weights' gradient against a difference of losses along it."""
    images, labels = _batch(digits)
    method = _compiled(name)
    variables = method.student.trainable_variables

    def loss():
        terms, _, _ = _terms(method, images, labels)
        return sum(v.astype("float64").mean() for v in terms.values())

    with tf.GradientTape() as tape:
        prepared, targets = method.prepare(
            images, labels, phase="matching", seed=tf.constant([0, 0])
        )
        terms, _, _ = method.loss_terms(prepared, labels, targets, **CALL)
        total = sum(tf.reduce_mean(v) for v in terms.values())
    found = tape.gradient(total, [v.value for v in variables])
    length = float(tf.linalg.global_norm(found))
    h, before = 5e-4, method.student.get_weights()
    moved = []
    for sign in (1, -1):
        for variable, value, g in zip(variables, before, found, strict=True):
            variable.assign(value + sign * h * g.numpy() / length)
        moved.append(loss())
    assert (moved[0] - moved[1]) / (2 * h) == pytest.approx(length, rel=2e-2)


def _trained(digits, name, strategy=None, **kwargs):
    # What a batch shares (the discriminator's statistics, a norm) is left out.
    weight = {"jarn": {"adversarial_weight": 0.0}, "kdiga": {"gradient_weight": 0.0}}
    with (strategy or tf.distribute.get_strategy()).scope():
        method = _compiled(name, **kwargs)
        for attribute, value in weight.get(name, {}).items():
            setattr(method, attribute, value)
    batches = data.evaluation_batches(digits.train, 24)
    history = method.fit(batches, epochs=1, verbose=0).history
    assert all(np.isfinite(v).all() for v in history.values())
    return method.student.get_weights()


@pytest.fixture(scope="module")
def trained_plainly(digits):
    """Function from a method's name to the weights that every setting has to reach."""
    # Eagerly: another way of computing them, and a faster one for three steps.
    return functools.cache(small_models.eagerly()(lambda name: _trained(digits, name)))


@pytest.mark.parametrize("setting", ["xla", "two", "micro"])
@pytest.mark.parametrize("name", MAKERS)
def test_every_setting_trains_to_the_same_weights(
    digits, trained_plainly, name, setting
):
    found = {
        "xla": lambda: _trained(digits, name, compile_args={"jit_compile": True}),
        "two": lambda: _trained(
            digits, name, distribution.strategy("mirrored", devices=2)
        ),
        "micro": lambda: _trained(digits, name, micro_batch=5),
    }[setting]()
    if name == "edges":
        # Each replica and part draws its own classes.
        return
    for a, b in zip(trained_plainly(name), found, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_on_adversarial_images(digits):
    images, labels = _batch(digits)
    attack = attacks.pgd(eps=0.1, num_steps=2, random_start=False)
    method = _compiled("edges", attack=attack)
    found, _ = method.prepare(images, labels, phase="train", seed=tf.constant([0, 0]))
    np.testing.assert_allclose(found, attack(method.student, images, labels), atol=1e-6)
