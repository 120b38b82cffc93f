"""PAG's loss by hand, its second derivatives, and training in every setting."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import attacks, data, distribution, models, training
from igam_tf.training import pag

SHAPE = {"image_shape": (8, 8, 1), "filters": (4, 4), "hidden_units": 8}
CALL = {"phase": "train", "global_batch": 16.0}
SEED = tf.constant([5, 7])
CROPS = data.Augmentation(pad=2, flip=True)


@pytest.fixture(scope="module")
def digits():
    """The ten digits, 40 images."""
    return data.read("digits", train_examples=40, test_examples=40).train


@pytest.fixture
def float64():
    precision, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(policy)


def _student(num_classes=10):
    set_seed(3)
    return models.small_cnn(num_classes=num_classes, **SHAPE)


def _targets(num_classes=10):
    """Targets that depend on the image, of any type."""
    directions = np.random.default_rng(1).normal(size=(num_classes, 8, 8, 1))
    return lambda images, labels: tf.cast(directions, images.dtype) - images[:, None]


def _compiled(
    student=None, *, optimizer=None, compile_args=None, targets=..., **kwargs
):
    student = student or _student()
    if targets is ...:
        targets = _targets(student.output_shape[-1])
    method = training.PAG(student, targets, **kwargs)
    method.compile(
        optimizer or keras.optimizers.SGD(0.05, momentum=0.9), **(compile_args or {})
    )
    return method


def _augmented(images, offsets, flips, pad):
    """Crop and flip with NumPy, image by image."""
    padded = np.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)])
    crops = [p[r : r + 8, c : c + 8] for p, (r, c) in zip(padded, offsets)]
    return np.stack([x[:, ::-1] if f else x for x, f in zip(crops, flips)])


def _log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_the_loss_by_hand(float64, digits):
    images = tf.constant(digits.images[:3].astype("float64"))
    labels = tf.constant(digits.labels[:3])
    method = training.PAG(_student(), _targets(), weight=4.0, augmentation=CROPS)
    _, prepared = method.prepare(images, labels, phase="train", seed=SEED)
    terms, _, report = method.loss_terms(images, labels, prepared, **CALL)
    offsets, flips = (t.numpy() for t in prepared[2:])
    assert len({tuple(o) for o in offsets}) > 1

    def log_p(x):
        return _log_softmax(method.student(_augmented(x, offsets, flips, 2)).numpy())

    # Central differences of log softmax w.r.t. each pixel of the natural images.
    x, h = images.numpy(), 1e-5
    found = np.zeros((3, 10, 8, 8, 1))
    for index in np.ndindex(8, 8, 1):
        step = np.zeros(x.shape)
        step[(slice(None), *index)] = h
        slope = (log_p(x + step) - log_p(x - step)) / (2 * h)
        found[(slice(None), slice(None), *index)] = slope
    target = _targets()(images, labels).numpy().reshape(3, 10, -1)
    found = found.reshape(3, 10, -1)
    norms = np.linalg.norm(found, axis=2) * np.linalg.norm(target, axis=2)
    cosine = ((found * target).sum(axis=2) / norms).mean(axis=1)
    np.testing.assert_allclose(report["gradient_cosine"], cosine, rtol=1e-6)
    np.testing.assert_allclose(terms["alignment"], 4 * (1 - cosine), rtol=1e-6)
    expected = -log_p(x)[np.arange(3), labels.numpy()]
    np.testing.assert_allclose(terms["cross_entropy"], expected, rtol=1e-6)


@pytest.mark.parametrize("normalised", [False, True])
def test_second_derivatives(float64, digits, normalised):
    images = tf.constant(digits.images[:4].astype("float64"))
    labels = tf.constant(digits.labels[:4])
    student = _student()
    if normalised:
        student = models.preact_resnet(
            depth=10, width=2, image_shape=(8, 8, 1), activation="gelu"
        )
    method = training.PAG(student, _targets(), augmentation=CROPS, classes=4)
    variables = student.trainable_variables

    @tf.function
    def gradient_and_loss():
        x, prepared = method.prepare(images, labels, phase="train", seed=SEED)
        with tf.GradientTape() as tape:
            terms, _, _ = method.loss_terms(x, labels, prepared, **CALL)
            loss = sum(tf.reduce_sum(v) for v in terms.values())
        return tape.gradient(loss, [v.value for v in variables]), loss

    found, _ = gradient_and_loss()
    rng = np.random.default_rng(0)
    starts = [v.numpy() for v in variables]
    directions = [rng.standard_normal(v.shape) for v in variables]
    losses = []
    for step in (1e-6, -1e-6):
        for variable, start, direction in zip(variables, starts, directions):
            variable.assign(start + step * direction)
        losses.append(float(gradient_and_loss()[1]))
    expected = (losses[0] - losses[1]) / 2e-6
    total = sum((g.numpy() * d).sum() for g, d in zip(found, directions))
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_directions_of_confident_images_stay_exact(digits):
    """In float32, 1 - p of the true class is lost; its gradient's direction is not."""
    student = _student()
    layer = student.get_layer("logit")
    layer.kernel.assign(100.0 * layer.kernel)
    images = tf.constant(digits.images[:8])
    classes = tf.tile(tf.range(10)[None], [8, 1])
    found, logits = pag.class_gradients(student, images, classes)
    logits = logits.numpy().astype("float64")
    assert (1 - np.exp(_log_softmax(logits)).astype("float32") == 0).any()
    # d log p_t = sum over k of p_k (d z_t - d z_k), in float64 from d z in float32.
    with tf.GradientTape() as tape:
        tape.watch(images)
        z = student(images)
    slopes = tape.batch_jacobian(z, images).numpy().astype("float64").reshape(8, 10, -1)
    p = np.exp(_log_softmax(logits))
    gaps = slopes[:, :, None] - slopes[:, None]
    expected = np.einsum("bk,btkd->btd", p, gaps)
    found = found.numpy().reshape(8, 10, -1)
    norms = np.linalg.norm(found, axis=2) * np.linalg.norm(expected, axis=2)
    np.testing.assert_allclose((found * expected).sum(axis=2) / norms, 1, atol=1e-4)


def test_some_classes_have_the_expectation_of_all(digits):
    images, labels = tf.constant(digits.images[:6]), tf.constant(digits.labels[:6])

    def cosines(classes, seeds):
        method = _compiled(classes=classes)

        @tf.function
        def compute(seed):
            x, prepared = method.prepare(images, labels, phase="train", seed=seed)
            _, _, report = method.loss_terms(x, labels, prepared, **CALL)
            return report["gradient_cosine"], prepared[1]

        results = [compute(tf.constant([s, 1])) for s in range(seeds)]
        for _, drawn in results:
            assert all(len(set(row)) == drawn.shape[1] for row in drawn.numpy())
        return np.array([r[0] for r in results])

    exact = cosines(None, 1)[0]
    np.testing.assert_allclose(cosines(10, 1)[0], exact, atol=1e-6)
    draws = cosines(3, 40)
    error = draws.std(axis=0) / np.sqrt(40)
    assert draws.std(axis=0).min() > 0
    assert (np.abs(draws.mean(axis=0) - exact) < 4 * error).all()
    for classes in (0, 11, 2.5):
        with pytest.raises(ValueError, match="classes="):
            _compiled(classes=classes)


def test_a_target_or_a_gradient_that_vanishes_has_no_effect(digits):
    images, labels = tf.constant(digits.images[:4]), tf.constant(digits.labels[:4])
    student = _student()
    dead = student.get_layer("logit")
    dead.kernel.assign(0.0 * dead.kernel)
    for method in (
        _compiled(targets=lambda x, y: tf.zeros([4, 10, 8, 8, 1])),
        _compiled(student),
    ):
        before = method.student.get_weights()
        with tf.GradientTape() as tape:
            x, prepared = method.prepare(images, labels, phase="train", seed=SEED)
            terms, _, _ = method.loss_terms(x, labels, prepared, **CALL)
        np.testing.assert_allclose(terms["alignment"], 15.0)
        variables = [v.value for v in method.student.trainable_variables]
        gradients = tape.gradient(terms["alignment"], variables)
        assert all(np.isfinite(g).all() for g in gradients if g is not None)
        assert len(before) == len(variables)


def _trained(digits, strategy=None, **kwargs):
    with (strategy or tf.distribute.get_strategy()).scope():
        method = _compiled(_student(), weight_decay=1e-3, **kwargs)
    batches = data.evaluation_batches(digits, 16)
    history = method.fit(batches, epochs=1, verbose=0).history
    return method.student.get_weights(), history


@pytest.fixture(scope="module")
def trained_plainly(digits):
    """Weights and history that every setting has to reach."""
    return _trained(digits)


@pytest.mark.parametrize("setting", ["xla", "two", "micro"])
def test_every_setting_trains_to_the_same_weights(digits, trained_plainly, setting):
    found, found_history = {
        "xla": lambda: _trained(digits, compile_args={"jit_compile": True}),
        "two": lambda: _trained(digits, distribution.strategy("mirrored", devices=2)),
        "micro": lambda: _trained(digits, micro_batch=5),
    }[setting]()
    expected, history = trained_plainly
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)
    for name in ("loss", "cross_entropy", "alignment", "gradient_cosine", "accuracy"):
        np.testing.assert_allclose(found_history[name], history[name], rtol=1e-3)


@pytest.mark.parametrize("setting", ["xla", "two", "micro"])
def test_augmentation_runs_in_every_setting(digits, setting):
    strategy = tf.distribute.get_strategy()
    if setting == "two":
        strategy = distribution.strategy("mirrored", devices=2)
    with strategy.scope():
        method = _compiled(
            augmentation=data.Augmentation(pad=2, flip=True, noise=0.02),
            classes=3,
            micro_batch=5 if setting == "micro" else None,
            attack=attacks.fgsm(eps=0.05) if setting == "micro" else None,
            compile_args={"jit_compile": setting == "xla"},
        )
    batches = data.evaluation_batches(digits, 16)
    history = method.fit(batches, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())


@pytest.mark.usefixtures("eagerly")
def test_batch_statistics_see_a_batch_once(digits):
    student = models.preact_resnet(depth=10, width=2, image_shape=(8, 8, 1))
    layer = student.get_layer("unit_1_0_1_norm")
    before = layer.moving_mean.numpy()
    images = tf.constant(digits.images[:16])
    inner = keras.Model(student.inputs, layer.input)
    expected = 0.9 * before + 0.1 * inner(images).numpy().mean(axis=(0, 1, 2))
    method = _compiled(student, optimizer=keras.optimizers.SGD(0.0))
    method.fit(images, digits.labels[:16], batch_size=16, verbose=0)
    np.testing.assert_allclose(layer.moving_mean, expected, rtol=1e-4, atol=1e-6)


def test_training_aligns_the_gradients(digits):
    method = _compiled(
        optimizer=keras.optimizers.Adam(1e-2),
        targets=training.pag_targets.make("cm", digits, 10),
    )
    batches = data.evaluation_batches(digits, 40)
    cosine = method.fit(batches, epochs=40, verbose=0).history["gradient_cosine"]
    assert cosine[-1] > cosine[0] + 0.2


def test_data_may_bring_the_targets(digits):
    images = tf.constant(digits.images)
    made = _targets()(images, None)
    rows = tf.data.Dataset.from_tensor_slices(((images, made), digits.labels)).batch(16)
    given = _compiled(targets=None)
    given.fit(rows, epochs=2, verbose=0)
    called = _compiled()
    called.fit(data.evaluation_batches(digits, 16), epochs=2, verbose=0)
    for a, b in zip(given.student.get_weights(), called.student.get_weights()):
        np.testing.assert_allclose(a, b, atol=1e-6)
    # Evaluation takes both.
    losses = [given.evaluate(x, verbose=0) for x in
              (rows, data.evaluation_batches(digits, 16))]  # fmt: skip
    np.testing.assert_allclose(*losses, rtol=1e-6)
    with pytest.raises(ValueError, match="without target gradients"):
        given.fit(data.evaluation_batches(digits, 16), verbose=0)
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        given.fit(rows.map(lambda x, y: ((255 * x[0], x[1]), y)), verbose=0)
