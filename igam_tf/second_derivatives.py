"""Whether the input gradient of a network can be differentiated again, layer by layer.

TensorFlow takes a missing second derivative for zero, in silence, or ends in an error
that names an operation. Here each layer is called on what it gets from a few images,
and the derivative of its gradient is held against a finite difference in a random
direction of its inputs, its weights and the gradient that comes from above.
"""

import contextlib
import dataclasses

import keras
import numpy as np
import tensorflow as tf

from igam_tf import compat, moments, resizing

_IMAGES = 2
# Steps, as shares of the root mean square: a smooth function has one slope in all.
_STEPS = (1e-2, 3e-3, 1e-3)
_DRAWS = 3
WAY_OUT = (
    "Replace the layer by one that can be differentiated twice (for a resize: "
    "keras.layers.Resizing, UpSampling2D or igam_tf.models.Resize), train without input "
    "gradients (StandardTraining, AdversarialTraining), or set `check_gradients = "
    "False` on the method to train all the same."
)


def check(model, *, training):
    """Refuses a network whose input gradient has a wrong derivative or none.

    Nothing of the network changes: weights, statistics and seeds are stand-ins. Layers
    of half precision compute in float32 meanwhile, on the CPU, where a finite
    difference tells something. Kinks (ReLU, max pooling) and random numbers beyond
    Keras' are no finding: a layer is refused if three steps of the finite difference
    agree with each other and not with the derivative, in three draws; one draw in which
    they agree lets a layer of Keras pass, three one of one's own.
    So what a layer or a model of one's own computes besides calling layers is told as
    long as it has no kinks itself.

    Args:
        model: keras.Model from images to logits.
        training: mode of the calls.

    Raises:
        ValueError: with the layer, what was found, and the way out.
    """
    generator = np.random.default_rng(0)
    shape = [side or 32 for side in model.input_shape[1:]]
    images = generator.random((_IMAGES, *shape)).astype(model.inputs[0].dtype)
    with tf.device("CPU:0"), _twice_differentiable():
        calls = _calls(model, tf.constant(images), training)
        with _in_float32([call.operation for call in calls]):
            calls = _calls(model, tf.constant(images), training)
            checked, cut = set(), []
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


@dataclasses.dataclass
class _Call:
    """A layer or operation, and what it was called with."""

    operation: object
    arguments: list
    structure: object

    def __post_init__(self):
        self.floats = [
            i
            for i, value in enumerate(self.arguments)
            if tf.is_tensor(value) and value.dtype.is_floating
        ]
        trained = getattr(self.operation, "trainable_variables", [])
        self.variables = [v for v in trained if tf.as_dtype(v.dtype).is_floating]

    def is_own(self):
        """Whether it may compute what is no layer of Keras."""
        own = not type(self.operation).__module__.startswith("keras.")
        return own or isinstance(self.operation, (keras.layers.Lambda, keras.Model))

    def kind(self):
        """What stands for it: equal layers of Keras are looked at once."""
        if self.is_own():
            return id(self.operation)
        config = {}
        if isinstance(self.operation, keras.Layer):
            config = {**self.operation.get_config(), "name": None}
        shapes = [getattr(value, "shape", value) for value in self.arguments]
        return f"{type(self.operation)} {config} {shapes}"

    def inputs(self):
        """What its gradient depends on: float inputs, then weights."""
        values = [self.arguments[i] for i in self.floats]
        return values, [tf.convert_to_tensor(v.value) for v in self.variables]

    def outputs(self, values, weights):
        """Float outputs for other inputs and weights; nothing else changes."""
        arguments = list(self.arguments)
        for place, value in zip(self.floats, values):
            arguments[place] = value
        args, kwargs = tf.nest.pack_sequence_as(self.structure, arguments)
        with keras.StatelessScope(state_mapping=list(zip(self.variables, weights))):
            found = tf.nest.flatten(self.operation(*args, **kwargs))
        return [y for y in found if tf.is_tensor(y) and y.dtype.is_floating]


def _fault(call, generator, cut):
    """What is wrong with a call, a sentence without its subject; None if nothing."""
    found, wrong, fine = None, 0, 0
    # A share of a wrong derivative may fall within the tolerance of a draw.
    enough = _DRAWS if call.is_own() else 1
    while wrong < _DRAWS:
        try:
            probe = _Probe(call, generator)
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


class _Probe:
    """Random numbers for one draw, and R = <gradient of <c, outputs>, w>."""

    def __init__(self, call, generator):
        self.probed = call
        self.values, self.weights = call.inputs()
        self.down = [_normal(generator, v, scaled=True) for v in self.values]
        self.aside = [_normal(generator, v, scaled=True) for v in self.weights]
        self.w = [_normal(generator, v) for v in self.values]
        self.inner = tf.GradientTape(persistent=True, watch_accessed_variables=False)
        with tf.GradientTape(watch_accessed_variables=False) as outer:
            outer.watch([*self.values, *self.weights])
            with self.inner:
                self.inner.watch(self.values)
                self.y = call.outputs(self.values, self.weights)
            self.c = [_normal(generator, y) for y in self.y]
            self.up = [_normal(generator, y) for y in self.y]
            outer.watch(self.c)
            gradient = self.gradient(self.inner, self.y, self.values, self.c)
            self.r, self.size = _dot(gradient, self.w), _spread(gradient, self.w)
        self.passes = bool(self.size > 0)
        sources = [*self.c, *self.values, *self.weights]
        self.second = outer.gradient(self.r, sources) if self.passes else None

    @staticmethod
    def gradient(tape, y, values, c):
        return tape.gradient(y, values, output_gradients=c) if y else [None] * len(values)

    def above(self):
        """Along the gradient from above: (derivative, finite difference) if wrong."""
        found = _dot(self.second[: len(self.c)], self.up)
        # A gradient is linear in it, but for one that clips.
        expected = self.from_above(self.up)
        if not self.differ(found, expected):
            return None
        ends = [
            self.from_above([c + sign * 0.1 * u for c, u in zip(self.c, self.up)])
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / 0.2
        return (found, expected) if self.differ(found, expected) else None

    def from_above(self, c):
        return _dot(self.gradient(self.inner, self.y, self.values, c), self.w)

    def differ(self, found, expected):
        return abs(found - expected) > 0.05 * max(abs(expected), float(self.size))

    def below(self):
        """Along inputs and weights; None also where the steps do not agree."""
        along = [*self.down, *self.aside]
        second = self.second[len(self.c) :]
        found, spread = _dot(second, along), float(_spread(second, along))
        slopes = []
        for step in _STEPS:
            slope = (self.at(step) - self.at(-step)) / (2 * step)
            noise = 1e-3 * float(self.size)
            if abs(slope - found) <= 0.1 * max(abs(slope), abs(found), spread) + noise:
                return None
            slopes.append(slope)
        same = abs(self.at(0.0) - self.r) <= 1e-4 * float(self.size)
        return (found, slopes[0]) if same and _agree(slopes) else None

    def at(self, step):
        """R, a step along inputs and weights."""
        values, weights = self.moved(step)
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            tape.watch(values)
            y = self.probed.outputs(values, weights)
        return _dot(self.gradient(tape, y, values, self.c), self.w)

    def moved(self, step):
        return (
            [v + step * d for v, d in zip(self.values, self.down)],
            [v + step * d for v, d in zip(self.weights, self.aside)],
        )

    def responds(self):
        """Whether the outputs follow the inputs smoothly: their slope is one."""
        slopes = []
        for step in _STEPS:
            ends = [
                _dot(self.probed.outputs(self.moved(s)[0], self.weights), self.c)
                for s in (step, -step)
            ]
            slopes.append((ends[0] - ends[1]) / (2 * step))
        return bool(slopes[0]) and _agree(slopes)


def _agree(slopes):
    return max(slopes) - min(slopes) <= 0.05 * max(abs(s) for s in slopes)


def _normal(generator, like, scaled=False):
    numbers = tf.constant(generator.standard_normal(like.shape), like.dtype)
    if not scaled:
        return numbers
    size = tf.sqrt(tf.reduce_mean(tf.square(like)))
    return numbers * tf.where(size > 0, size, tf.ones_like(size))


def _dot(values, directions):
    """Sum of products, of what is not None."""
    pairs = [(a, b) for a, b in zip(values, directions) if a is not None]
    return sum(tf.reduce_sum(tf.convert_to_tensor(a) * b) for a, b in pairs) if pairs else 0.0


def _spread(values, directions):
    """Deviation of `_dot` over random directions."""
    pairs = [(a, b) for a, b in zip(values, directions) if a is not None]
    squares = [tf.reduce_sum(tf.square(tf.convert_to_tensor(a) * b)) for a, b in pairs]
    return tf.sqrt(sum(squares)) if squares else 0.0


def _calls(model, images, training):
    """All calls of layers and operations within a call of the model, inner ones first."""
    found = []

    def record(operation, args, kwargs):
        if not compat.is_container(operation):
            structure = (args, kwargs)
            found.append(_Call(operation, tf.nest.flatten(structure), structure))

    with compat.recorded_calls(record), keras.StatelessScope():
        model(images, training=training)
    return found


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


@contextlib.contextmanager
def _twice_differentiable():
    with moments.twice_differentiable(), resizing.twice_differentiable():
        yield


def _named(operation):
    return f"Layer {operation.name!r} ({type(operation).__name__})"
