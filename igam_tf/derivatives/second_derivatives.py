"""Checks, layer by layer, that a network's input gradient can be differentiated.

TensorFlow takes a missing second derivative for zero, in silence, or ends in an error
that names an operation. Here each layer is called on what it gets from a few images,
and the derivative of its gradient is held against a finite difference in a random
direction of its inputs, its weights and the gradient that comes from above.
"""

import contextlib

import keras
import numpy as np
import tensorflow as tf

from igam_tf.derivatives import layers
from igam_tf.derivatives.calls import Call, calls_of
from igam_tf.derivatives.probe import Probe

_IMAGES = 2
_DRAWS = 3
WAY_OUT = (
    "Replace the layer by one that can be differentiated twice (for a resize: "
    "keras.layers.Resizing, UpSampling2D or igam_tf.models.Resize), train without "
    "input gradients (StandardTraining, AdversarialTraining), or set "
    "`check_gradients = False` on the method to train all the same."
)


def check(model: keras.Model, *, training: bool) -> None:
    """Refuses a network whose input gradient has a wrong derivative or none.

    Nothing of the network changes: weights, statistics and seeds are stand-ins. Layers
    of half precision compute in float32 meanwhile, where a finite difference tells
    something, on the CPU if it has all operations. Kinks (ReLU, max pooling) and
    random numbers beyond Keras' are no finding: a layer is refused if three steps of
    the finite difference agree with each other and not with the derivative, in three
    draws; one draw in which they agree lets a layer of Keras pass, three one of one's
    own. So what a layer or a model of one's own computes besides calling layers is told
    as long as it has no kinks itself.

    Args:
        model: keras.Model from images to logits.
        training: mode of the calls.

    Raises:
        ValueError: with the layer, what was found, and the way out.
    """
    try:
        _check(model, training, "CPU:0")
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
        # Such as a convolution of channels first, which TensorFlow has for GPUs only.
        device = _gpu()
        if device is None:
            raise
        with _without_tensor_float():
            _check(model, training, device)


def _check(model: keras.Model, training: bool, device: str) -> None:
    generator = np.random.default_rng(0)
    shape = [side or 32 for side in model.input_shape[1:]]
    images = generator.random((_IMAGES, *shape)).astype(model.inputs[0].dtype)
    with tf.device(device), layers.twice_differentiable():
        calls = calls_of(model, tf.constant(images), training)
        with _in_float32([call.operation for call in calls]):
            calls = calls_of(model, tf.constant(images), training)
            checked: set[int | str] = set()
            cut: list[keras.Operation] = []
            for call in calls:
                key = call.kind()
                if key in checked or not call.floats:
                    continue
                checked.add(key)
                reason = _fault(call, generator, cut)
                if reason:
                    raise ValueError(f"{_named(call.operation)} {reason} {WAY_OUT}")
        _check_reaches(model, tf.constant(images), training, cut)


def _check_reaches(model, images, training, cut):
    """Whether any gradient comes through to the images."""
    with keras.StatelessScope(), tf.GradientTape() as tape:
        tape.watch(images)
        logits = model(images, training=training)
    if tape.gradient(logits, images) is None:
        where = f" {_named(cut[0])} lets none through." if cut else ""
        raise ValueError(
            f"No gradient of the logits of {model.name!r} comes through to the images, "
            f"which training on input gradients needs.{where} {WAY_OUT}"
        )


def _fault(
    call: Call, generator: np.random.Generator, cut: list[keras.Operation]
) -> str | None:
    """What is wrong with a call, a sentence without its subject; None if nothing."""
    found: tuple[float, float] = (0.0, 0.0)
    wrong, fine = 0, 0
    # A share of a wrong derivative may fall within the tolerance of a draw.
    enough = _DRAWS if call.is_own() else 1
    while wrong < _DRAWS:
        try:
            probe = Probe(call, generator)
        except (LookupError, NotImplementedError) as error:
            return f"has no second derivative in TensorFlow ({error})."
        if not probe.passes:
            cut.append(call.operation)
            if not probe.responds():
                return None
            return "passes no gradient on to its inputs, on which its output depends."
        pair = probe.above() or probe.below()
        if pair is None:
            fine += 1
            if fine == enough:
                return None
            continue
        wrong, found = wrong + 1, pair
    return (
        "cannot be trained by input gradients: the derivative of its gradient is "
        "{:.3g}, a finite difference finds {:.3g}.".format(*found)
    )


def _gpu():
    """Name of the first GPU, or None."""
    return next((d.name for d in tf.config.list_logical_devices("GPU")), None)


@contextlib.contextmanager
def _without_tensor_float():
    """Lets GPUs multiply in float32, where a finite difference tells something."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


@contextlib.contextmanager
def _in_float32(operations):
    """Lets layers of half precision compute in float32."""
    half = [
        layer
        for layer in dict.fromkeys(operations)
        if isinstance(layer, keras.Layer)
        and layer.compute_dtype in ("float16", "bfloat16")
    ]
    policies = [layer.dtype_policy for layer in half]
    try:
        for layer in half:
            layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in zip(half, policies):
            layer.dtype_policy = policy


def _named(operation):
    return f"Layer {operation.name!r} ({type(operation).__name__})"
