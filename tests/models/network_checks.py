"""What every network must be able to do: checks shared by the tests of networks."""

import atexit
import contextlib
import functools
import subprocess
import sys
import tempfile

import keras
import numpy as np
import small_models
import tensorflow as tf

from igam_tf import data, gradients, models, training

# Answers each folder that it reads from its input with the logits of the model there.
_PLAIN_KERAS = """
import sys
import keras, numpy
for line in sys.stdin:
    folder = line.rstrip("\\n")
    model = keras.models.load_model(folder + "/student.keras")
    numpy.save(folder + "/logits.npy", model(numpy.load(folder + "/images.npy")))
    assert not any(name.startswith("igam_tf") for name in sys.modules)
    print("done", flush=True)
"""


@contextlib.contextmanager
def float64():
    """Within it, networks are made and run in float64."""
    precision, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(precision)
        keras.config.set_dtype_policy(policy)


def check_second_derivatives(make):
    """d/dw of the squared input gradient, against finite differences of it.

    Args:
        make: function without arguments to a network, called in float64.
    """
    with float64():
        model = make()
        rng = np.random.default_rng(0)
        images = tf.constant(rng.random((4, *model.input_shape[1:])))
        labels = tf.constant([0, 1, 2, 0])
        variables = model.trainable_variables

        @tf.function
        def loss():
            gradient = gradients.input_gradient(
                model, images, labels, of="loss", training=True
            )
            return tf.reduce_sum(tf.square(gradient))

        @tf.function
        def weights_gradient():
            with tf.GradientTape() as tape:
                value = loss()
            return tape.gradient(
                value, [v.value for v in variables], unconnected_gradients="zero"
            )

        found = [g.numpy() for g in weights_gradient()]
        starts = [v.numpy() for v in variables]
        directions = [rng.standard_normal(v.shape) for v in variables]
        losses = []
        for step in (1e-6, -1e-6):
            for variable, start, direction in zip(variables, starts, directions):
                variable.assign(start + step * direction)
            losses.append(float(loss()))
        expected = (losses[0] - losses[1]) / 2e-6
        total = sum((g * d).sum() for g, d in zip(found, directions))
        np.testing.assert_allclose(total, expected, rtol=1e-5)


def check_loads_without_package(model, folder, atol=1e-5):
    """A saved model gives the same logits in a process that lacks this package."""
    shape = (2, *model.input_shape[1:])
    images = np.random.default_rng(0).random(shape).astype("float32")
    model.save(folder / "student.keras")
    np.save(folder / "images.npy", images)
    process = _process_without_package()
    print(folder, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"
    np.testing.assert_allclose(np.load(folder / "logits.npy"), model(images), atol=atol)


@functools.cache
def _process_without_package():
    """One for the models of all tests: to import Keras takes seconds."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PLAIN_KERAS],
        cwd=tempfile.gettempdir(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(process.kill)
    return process


def check_trains_under_igam(student, teacher, images, **compile_args):
    """IGAM moves the student and nothing of the teacher, and its losses are finite.

    Args:
        student, teacher: keras.Model; the teacher of another task.
        images: float32 array (n, *student.input_shape[1:]).
    """
    num_classes = student.output_shape[-1]
    labels = np.arange(len(images), dtype=np.int32) % num_classes
    teacher = training.with_new_logits(
        teacher, num_classes=num_classes, image_shape=images.shape[1:]
    )
    method = training.IGAM(
        student,
        teacher,
        models.discriminator(gradient_shape=images.shape[1:], channels=(4, 4)),
        discriminator_every=1,
    )
    method.compile(keras.optimizers.SGD(0.01), **compile_args)
    before, frozen = student.get_weights(), teacher.get_weights()
    batches = data.evaluation_batches(data.Split(images, labels), 4)
    # XLA traces it; without, two steps at most take less than a trace of them would.
    traced = compile_args.get("jit_compile")
    with contextlib.nullcontext() if traced else small_models.eagerly():
        history = method.fit(batches, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert history["difference"][0] > 0
    after = student.get_weights()
    assert any((a != b).any() for a, b in zip(before, after, strict=True))
    for a, b in zip(frozen, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
