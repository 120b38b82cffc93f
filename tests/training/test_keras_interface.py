"""What Keras documents of `fit`'s kin and of callbacks holds for methods."""

import csv

import keras
import numpy as np
import pytest
import small_models
import tensorflow as tf
from small_models import set_seed

from igam_tf import attacks, distribution, models, training

IMAGES = np.random.default_rng(0).random((32, 8, 8, 1), np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 32).astype(np.int32)


def net(seed=0, **kwargs):
    set_seed(seed)
    return models.small_cnn(
        num_classes=3, filters=(4, 4), hidden_units=8, activation="gelu", **kwargs
    )


def discriminator():
    return models.discriminator(gradient_shape=(8, 8, 1), channels=(4, 4))


METHODS = {
    "standard": lambda: training.StandardTraining(net()),
    "jarn": lambda: training.JARN(net(), discriminator(), discriminator_every=2),
    "igam": lambda: training.IGAM(net(), net(1), discriminator(), pixel_range=1.0),
}


def compiled(kind="standard", optimizer=None, replicas=1, **compile_args):
    strategy = (
        tf.distribute.get_strategy()
        if replicas == 1
        else distribution.strategy("mirrored", devices=replicas)
    )
    with strategy.scope():
        method = METHODS[kind]()
        method.compile(optimizer or keras.optimizers.SGD(0.05), **compile_args)
    return method


def fit(method, epochs=2, **kwargs):
    given = {"batch_size": 8, "shuffle": False, "verbose": 0, **kwargs}
    return method.fit(IMAGES, LABELS, epochs=epochs, **given)


def equal(a, b):
    for x, y in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.fixture(scope="module", name="rewind")
def _rewind():
    """Function to an IGAM as made, that is traced once."""
    return small_models.rewinding(compiled("igam"))


@pytest.fixture
def igam(rewind):
    """IGAM as `compiled` returns it, for tests of what callbacks make of a `fit`."""
    return rewind()


# fit's kin.


@pytest.mark.parametrize("compile_args", [{}, {"steps_per_execution": 3}])
def test_train_on_batch_is_a_step_of_fit(compile_args):
    method, other = compiled("igam", **compile_args), compiled("igam")
    fit(other, epochs=1)
    logs = [
        method.train_on_batch(IMAGES[i : i + 8], LABELS[i : i + 8], return_dict=True)
        for i in range(0, 32, 8)
    ]
    equal(method, other)
    evaluated = other.evaluate(IMAGES, LABELS, verbose=0, return_dict=True)
    matching = {"cross_entropy", "adversarial", "difference", "gradient_cosine"}
    judged = {"discriminator_loss", "discriminator_accuracy"}
    assert logs[0].keys() == evaluated.keys() | matching | judged | {"grad_norm"}


def test_batches_of_two_replicas_are_those_of_one():
    one, two = compiled(), compiled(replicas=2)
    found = [
        {
            **m.train_on_batch(IMAGES, LABELS, return_dict=True),
            **{f"val_{k}": v for k, v in m.test_on_batch(
                IMAGES, LABELS, return_dict=True).items()},
        }
        for m in (one, two)
    ]  # fmt: skip
    for name in ("loss", "cross_entropy", "accuracy", "val_loss", "val_accuracy"):
        assert found[1][name] == pytest.approx(found[0][name], rel=1e-4)
    for method in (one, two):
        logits = method.predict_on_batch(IMAGES)
        assert logits.shape == (32, 3)
        np.testing.assert_allclose(
            logits, method.student.predict(IMAGES, verbose=0), atol=1e-5
        )


def test_evaluate_gives_the_loss_once_and_first():
    method = compiled()
    logits = method.predict(IMAGES, verbose=0).astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    loss = -log[np.arange(32), LABELS].mean()
    accuracy = (logits.argmax(axis=1) == LABELS).mean()
    for found in (
        method.evaluate(IMAGES, LABELS, batch_size=5, verbose=0),
        method.test_on_batch(IMAGES, LABELS),
    ):
        np.testing.assert_allclose(found, [loss, accuracy], rtol=1e-4)
    assert method.metrics_names[0] == "loss"
    assert method.metrics_names.count("loss") == 1


@pytest.mark.parametrize("metrics", [None, [], (), "accuracy", ["accuracy"]])
def test_metrics(metrics):
    method = compiled(metrics=metrics)
    assert ("accuracy" in fit(method, epochs=1).history) == bool(metrics)


@pytest.mark.parametrize(
    "compile_args, message",
    [
        ({"metrics": {"logits": "accuracy"}}, "expected a list such as"),
        ({"loss": "mse"}, "defines its loss"),
        ({"optimizer": keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)},
         "gradient_accumulation_steps=2.*micro_batch"),
    ],
)  # fmt: skip
def test_compile_refuses(compile_args, message):
    with pytest.raises(ValueError, match=message):
        compiled(**compile_args)


def test_the_discriminator_does_not_gather_gradients_either():
    with pytest.raises(ValueError, match="gradient_accumulation_steps=3"):
        METHODS["jarn"]().compile(
            keras.optimizers.SGD(0.1),
            keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
        )


def test_validation_split_and_initial_epoch():
    method, other = compiled(), compiled()
    history = fit(method, epochs=3, initial_epoch=1, validation_split=0.25)
    assert history.epoch == [1, 2]
    other.fit(
        IMAGES[:24], LABELS[:24], batch_size=8, shuffle=False, epochs=2, verbose=0,
    )  # fmt: skip
    equal(method, other)
    found = other.evaluate(IMAGES[24:], LABELS[24:], verbose=0, return_dict=True)
    assert history.history["val_loss"][-1] == pytest.approx(found["loss"], rel=1e-5)


# Callbacks.


def test_early_stopping_restores_the_best_weights(igam):
    kept = {}
    best = keras.callbacks.EarlyStopping(
        "grad_norm", mode="min", patience=2, restore_best_weights=True,
        start_from_epoch=0,
    )  # fmt: skip
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.setdefault(
            epoch, (logs["grad_norm"], method.get_weights())
        )
    )
    method = igam
    fit(method, epochs=4, callbacks=[best, keep])
    _, weights = min(kept.values(), key=lambda pair: pair[0])
    for a, b in zip(method.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_model_checkpoint_saves_the_student(tmp_path, igam):
    method = igam
    fit(method, callbacks=[keras.callbacks.ModelCheckpoint(tmp_path / "x.keras")])
    loaded = keras.models.load_model(tmp_path / "x.keras")
    equal(loaded, method.student)
    method.save(tmp_path / "y.keras")
    equal(keras.models.load_model(tmp_path / "y.keras"), method.student)


def test_model_checkpoint_of_weights_is_the_whole_state(tmp_path):
    path = tmp_path / "state.weights.h5"
    method, other = compiled("igam"), compiled("igam")
    fit(
        method,
        callbacks=[keras.callbacks.ModelCheckpoint(path, save_weights_only=True)],
    )
    other.load_weights(path)
    for a in (method, other):
        a.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
    equal(method, other)
    equal(method.discriminator, other.discriminator)


@pytest.mark.parametrize("name", ["best.keras", "best.weights.h5"])
def test_student_checkpoint_keeps_the_best_student_alone(tmp_path, name):
    method, path = compiled("igam"), tmp_path / name
    checkpoint = training.StudentCheckpoint(
        path, save_best_only=True, monitor="val_accuracy", mode="max",
        save_weights_only=name.endswith(".h5"),
    )  # fmt: skip
    checkpoint.set_model(method)
    checkpoint.on_epoch_end(0, {"val_accuracy": 0.6})
    best = [np.array(w) for w in method.student.get_weights()]
    method.student.set_weights([w + 1 for w in best])
    checkpoint.on_epoch_end(1, {"val_accuracy": 0.5})
    if name.endswith(".h5"):
        kept = compiled("igam").student
        kept.load_weights(path)
    else:
        kept = keras.models.load_model(path)
    for a, b in zip(kept.get_weights(), best, strict=True):
        np.testing.assert_array_equal(a, b)


def test_student_checkpoint_of_a_plain_model_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    with pytest.raises(TypeError, match="has no student"):
        training.StudentCheckpoint(tmp_path / "x.keras").set_model(model)


def test_a_method_has_no_config(tmp_path):
    with pytest.raises(ValueError, match="save method.student"):
        keras.saving.save_model(compiled(), tmp_path / "z.keras")


def test_schedulers_of_the_learning_rate(igam):
    rates = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(
            float(method.optimizer.learning_rate)
        )
    )
    method = igam
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fit(method, epochs=2, callbacks=[scheduler, keep])
    np.testing.assert_allclose(rates, [0.025, 0.0125])
    # No loss is 1e9 better than the one before.
    reduce = keras.callbacks.ReduceLROnPlateau(
        "loss", factor=0.1, patience=1, min_delta=1e9, cooldown=0
    )
    fit(method, epochs=2, callbacks=[reduce])
    assert float(method.optimizer.learning_rate) == pytest.approx(0.00125)


def test_csv_logger(tmp_path, igam):
    history = fit(igam, callbacks=[keras.callbacks.CSVLogger(tmp_path / "l")])
    with open(tmp_path / "l", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in rows] == history.history["loss"]


def test_tensorboard_is_refused_where_it_is_not_installed(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="tensorboard is not installed.*CSVLogger"):
        fit(compiled(), callbacks=[keras.callbacks.TensorBoard(tmp_path)])


@pytest.mark.parametrize("kind", METHODS)
def test_averaged_weights(kind):
    # SGD without momentum: the average is of weights that a plain run has too.
    plain, averaged = compiled(kind), compiled(
        kind, keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5)
    )  # fmt: skip
    average = None
    for start in range(0, 32, 8):
        plain.train_on_batch(IMAGES[start : start + 8], LABELS[start : start + 8])
        now = [v.numpy() for v in plain.trained_variables]
        # The average begins with the weights after the first step.
        average = [0.5 * a + 0.5 * b for a, b in zip(average or now, now, strict=True)]
    fit(averaged, epochs=1)
    for a, v in zip(average, averaged.trained_variables, strict=True):
        np.testing.assert_allclose(v.numpy(), a, atol=1e-6)


@pytest.mark.parametrize("kind", ["standard", "jarn"])
def test_swap_ema_weights(kind):
    optimizer = keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5)
    method = compiled(kind, optimizer)
    fit(method, callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch=True)])
    # Those of the average stay at the end, as after a fit without the callback.
    other = compiled(kind, keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5))
    fit(other)
    for a, b in zip(method.trained_variables, other.trained_variables, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


@pytest.mark.parametrize("kind", ["standard", "igam"])
def test_backup_and_restore_goes_on_bit_for_bit(kind, tmp_path):
    straight = compiled(kind, keras.optimizers.Adam(0.01))
    fit(straight, epochs=4)

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    stop = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(kind, keras.optimizers.Adam(0.01)), 4, callbacks=[backup, stop])
    resumed = compiled(kind, keras.optimizers.Adam(0.01))
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    assert fit(resumed, 4, callbacks=[backup]).epoch == [2, 3]
    equal(straight, resumed)


def test_a_list_of_callbacks_made_by_the_user():
    method = compiled()
    seen = []
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda e, logs: seen.append(e))
    made = keras.callbacks.CallbackList(
        [note], add_history=True, model=method, epochs=2, steps=4
    )
    fit(method, callbacks=made)
    assert seen == [0, 1]


# Networks.


def ending(*last, dtype=None):
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(dtype=dtype)]
    return keras.Sequential([*layers, *last])


class OwnClass(keras.Model):
    def __init__(self):
        super().__init__()
        self.inside = ending(keras.layers.Dense(3))

    def call(self, images, training=False):
        return self.inside(images, training=training)


def two_inputs():
    a, b = keras.Input((8, 8, 1)), keras.Input((8, 8, 1))
    return keras.Model(
        [a, b], ending(keras.layers.Dense(3))(keras.layers.Add()([a, b]))
    )


def dense(units=3, **kwargs):
    return keras.layers.Dense(units, **kwargs)


REFUSED = {
    "softmax": (
        lambda: ending(dense(activation="softmax")),
        "softmax: expected logits",
    ),
    "softmax layer": (
        lambda: ending(dense(), keras.layers.Softmax()),
        "without_softmax",
    ),
    "sigmoids": (
        lambda: ending(dense(activation="sigmoid")),
        "sigmoid.*expected logits",
    ),
    "one logit": (lambda: ending(dense(1)), "two_logits"),
    "own class": (OwnClass, "expected a functional or Sequential.*wrap"),
    "not built": (lambda: keras.Sequential([dense()]), "without symbolic inputs"),
    "two inputs": (two_inputs, "has 2 inputs and 1 outputs"),
    "float16": (
        lambda: ending(dense(dtype="mixed_float16")),
        "float16: expected float32",
    ),
    "whole numbers": (
        lambda: keras.models.clone_model(
            ending(dense()), input_tensors=keras.Input((8, 8, 1), dtype="uint8")
        ),
        "takes uint8: expected an input of floats",
    ),
    "vectors": (
        lambda: keras.Sequential([keras.Input((4,)), dense()]),
        "expected images",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_students_are_refused_when_a_method_is_made(kind):
    make, message = REFUSED[kind]
    with pytest.raises(ValueError, match=f"^student .*{message}"):
        training.StandardTraining(make())


def test_a_softmax_that_nobody_sees_is_refused_at_compile():
    hidden = ending(dense(), keras.layers.Lambda(lambda x: tf.nn.softmax(x)))
    method = training.GradNorm(hidden)
    with pytest.raises(ValueError, match="^student: .*probabilities.*expected logits"):
        method.compile("sgd")


@pytest.mark.parametrize("kind", ["softmax", "own class", "two inputs", "one logit"])
def test_so_are_teachers_and_discriminators(kind):
    make, message = REFUSED[kind]
    with pytest.raises(ValueError, match=f"^teacher .*{message}"):
        training.KDIGA(net(), make())
    with pytest.raises(ValueError, match=f"^teacher .*{message}"):
        training.IGAM(net(), make(), discriminator())
    with pytest.raises(ValueError, match=f"^discriminator .*{message}"):
        training.JARN(net(), make())


def test_a_model_of_its_own_class_is_taken_when_wrapped():
    images = keras.Input((8, 8, 1))
    method = training.GradNorm(keras.Model(images, OwnClass()(images)))
    method.compile("sgd")
    assert np.isfinite(fit(method, epochs=1).history["loss"][0])


@pytest.mark.parametrize(
    "make",
    [
        training.StandardTraining,
        training.GradNorm,
        training.EdgeReg,
        lambda s: training.AdversarialTraining(s, attacks.pgd(eps=0.1, num_steps=2)),
    ],
)
def test_a_student_of_no_fixed_size(make):
    layers = [
        keras.Input((None, None, 1)),
        keras.layers.Conv2D(4, 3, activation="gelu"),
    ]
    student = keras.Sequential(
        [*layers, keras.layers.GlobalAveragePooling2D(), dense()]
    )  # fmt: skip
    method = make(student)
    method.compile("sgd")
    assert np.isfinite(fit(method, epochs=1).history["loss"][0])
