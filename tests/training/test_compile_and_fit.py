"""What a user may ask of `compile` and `fit` is done, or refused: never left undone."""

import keras
import numpy as np
import pytest

from igam_tf import models, training

IMAGES = np.random.default_rng(0).random((32, 4, 4, 1), np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 32).astype(np.int32)


def net(*layers):
    keras.utils.set_random_seed(0)
    last = [keras.layers.Flatten(), keras.layers.Dense(3, name="logits")]
    return keras.Sequential([keras.Input((4, 4, 1)), *layers, *last])


def compiled(student=None, rate=0.05, **kwargs):
    method = training.StandardTraining(student or net())
    method.compile(keras.optimizers.SGD(rate), **kwargs)
    return method


def fit(method, **kwargs):
    return method.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0, **kwargs)


# Steps of an execution.


@pytest.mark.parametrize("steps", [2, 3, 10])
def test_every_batch_is_used_whatever_runs_eagerly(steps):
    eager = compiled(run_eagerly=True, steps_per_execution=steps)
    graph = compiled(steps_per_execution=steps)
    for method in (eager, graph):
        fit(method, epochs=2)
        assert int(method.optimizer.iterations) == 8
    for a, b in zip(eager.get_weights(), graph.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    found, expected = (
        m.evaluate(IMAGES, LABELS, batch_size=8, verbose=0) for m in (eager, graph)
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


# Metrics.


@pytest.mark.parametrize(
    "metric",
    [
        "categorical_accuracy",
        keras.metrics.categorical_accuracy,
        keras.metrics.CategoricalAccuracy(),
        keras.metrics.TopKCategoricalAccuracy(2),
        keras.metrics.CategoricalCrossentropy(from_logits=True),
        keras.metrics.AUC(),
        "mse",
        "binary_accuracy",
    ],
)
def test_metrics_of_one_hot_rows_are_refused(metric):
    with pytest.raises(ValueError, match="one that takes class numbers"):
        compiled(metrics=[metric])


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_metrics_of_class_numbers_are_taken(classes):
    def first_class(labels, logits):
        return keras.ops.cast(keras.ops.equal(labels, 0), logits.dtype)

    student = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(classes)]
    )
    method = compiled(
        student,
        metrics=[
            "accuracy",
            "sparse_categorical_accuracy",
            keras.metrics.SparseCategoricalCrossentropy(from_logits=True),
            keras.metrics.SparseTopKCategoricalAccuracy(2),
            first_class,
        ],
    )
    labels = LABELS % 2
    found = method.evaluate(IMAGES, labels, return_dict=True, verbose=0)
    assert found["first_class"] == pytest.approx(np.mean(labels == 0))
    right = method.predict(IMAGES, verbose=0).argmax(1) == labels
    assert found["sparse_categorical_accuracy"] == pytest.approx(right.mean())


# Weights that are not trained.


@pytest.mark.parametrize("of", ["the student", "its layers"])
def test_a_student_without_trainable_weights_is_not_trained_in_vain(of):
    student = net()
    for frozen in [student] if of == "the student" else student.layers:
        frozen.trainable = False
    method = compiled(student)
    with pytest.raises(ValueError, match="has no trainable weights.*trainable = True"):
        fit(method)
    # To look at it is no training.
    assert len(method.evaluate(IMAGES, LABELS, verbose=0)) == 2


# Weight decay.


@pytest.mark.parametrize("decay", ["loss", "optimizer"])
def test_both_kernels_of_a_separable_convolution_decay(decay):
    student = net(keras.layers.SeparableConv2D(4, 3, name="separable"))
    before = {v.path: v.numpy() for v in student.trainable_variables}
    if decay == "loss":
        method = training.StandardTraining(student, weight_decay=0.5)
        method.compile(keras.optimizers.SGD(1e-3))
        plain = training.StandardTraining(keras.models.clone_model(student))
        plain.student.set_weights(student.get_weights())
        plain.compile(keras.optimizers.SGD(1e-3))
        for trained in (method, plain):
            fit(trained, steps_per_epoch=1)
        after = [v.numpy() for v in plain.student.trainable_variables]
    else:
        optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.5)
        variables = student.trainable_variables
        training.decay_kernels_only(optimizer, variables)
        optimizer.build(variables)
        optimizer.apply([keras.ops.zeros_like(v) for v in variables], variables)
        after = list(before.values())
    for variable, plainly in zip(student.trainable_variables, after, strict=True):
        start = before[variable.path]
        # The rate times the decay.
        expected = 1e-3 * 0.5 * start if "kernel" in variable.path else 0.0 * start
        np.testing.assert_allclose(plainly - variable, expected, atol=1e-6)


def test_weight_decay_where_no_kernel_is_trained():
    student = net(keras.layers.BatchNormalization(name="norm"))
    student.get_layer("logits").trainable = False
    method = training.StandardTraining(student, weight_decay=0.5)
    method.compile(keras.optimizers.SGD(0.05))
    gamma = student.get_layer("norm").gamma.numpy()
    fit(method)
    assert np.abs(student.get_layer("norm").gamma.numpy() - gamma).max() > 1e-4


# What is trainable.


@pytest.mark.parametrize("use_ema", [False, True])
def test_weights_that_are_frozen_after_compile_need_another_compile(use_ema):
    """Averages would end in other layers, and a traced step would train on."""
    student = net(keras.layers.Dense(1, name="first"), keras.layers.Dense(1))
    method = training.StandardTraining(student)

    def compile_anew():
        average = {"use_ema": True, "ema_momentum": 0.5} if use_ema else {}
        method.compile(keras.optimizers.SGD(0.05, **average))

    compile_anew()
    fit(method, steps_per_epoch=1)
    first = student.get_layer("first")
    before = first.get_weights()
    first.trainable = False
    with pytest.raises(ValueError, match="2 weights were frozen after compile.*again"):
        fit(method, steps_per_epoch=1)
    with pytest.raises(ValueError, match="2 weights were frozen after compile"):
        method.train_on_batch(IMAGES, LABELS)
    compile_anew()
    other = student.layers[1].get_weights()
    fit(method, steps_per_epoch=1)
    for a, b in zip(first.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (student.layers[1].get_weights()[0] != other[0]).any()
    first.trainable = True
    with pytest.raises(ValueError, match="2 made trainable, such as .*first/"):
        fit(method, steps_per_epoch=1)


def test_a_callback_that_freezes_a_layer_is_refused_before_averages_are_taken():
    student = net(keras.layers.Dense(1, name="first"), keras.layers.Dense(1))
    method = training.StandardTraining(student)
    method.compile(keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5))

    class Freezes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            student.get_layer("first").trainable = False

    with pytest.raises(ValueError, match="2 weights were frozen after compile"):
        fit(method, callbacks=[Freezes()])


def test_a_discriminator_that_is_frozen_after_compile_is_refused():
    discriminator = models.discriminator(gradient_shape=(4, 4, 1), channels=(2, 2))
    method = training.JARN(net(keras.layers.Activation("gelu")), discriminator)
    method.compile(keras.optimizers.SGD(0.05, use_ema=True))
    discriminator.layers[-1].trainable = False
    with pytest.raises(ValueError, match="2 weights were frozen after compile"):
        fit(method)
    # Evaluation trains nothing.
    method.evaluate(IMAGES, LABELS, verbose=0)
