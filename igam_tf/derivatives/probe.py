"""Compares a derivative with a finite difference in one draw of random directions."""

import typing
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from igam_tf.derivatives.calls import Call

# Steps, as shares of the root mean square: a smooth function has one slope in all.
_STEPS = (1e-2, 3e-3, 1e-3)


class Probe:
    """Random numbers for one draw, and R = <gradient of <c, outputs>, w>."""

    def __init__(self, call: Call, generator: np.random.Generator):
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
        self.second: typing.Any = None
        if self.passes:
            self.second = outer.gradient(self.r, sources)

    @staticmethod
    def gradient(
        tape: tf.GradientTape,
        y: Sequence[tf.Tensor],
        values: Sequence[tf.Tensor],
        c: Sequence[tf.Tensor],
    ) -> list[tf.Tensor | None]:
        return (
            tape.gradient(y, values, output_gradients=c) if y else [None] * len(values)
        )

    def above(self) -> tuple[float, float] | None:
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

    def from_above(self, c: Sequence[tf.Tensor]) -> tf.Tensor | float:
        return _dot(self.gradient(self.inner, self.y, self.values, c), self.w)

    def differ(self, found: float, expected: float) -> bool:
        return abs(found - expected) > 0.05 * max(abs(expected), float(self.size))

    def below(self) -> tuple[float, float] | None:
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

    def at(self, step: float) -> tf.Tensor | float:
        """R, a step along inputs and weights."""
        values, weights = self.moved(step)
        tape = tf.GradientTape(watch_accessed_variables=False)
        with tape:
            tape.watch(values)
            y = self.probed.outputs(values, weights)
        return _dot(self.gradient(tape, y, values, self.c), self.w)

    def moved(self, step: float) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        return (
            [v + step * d for v, d in zip(self.values, self.down)],
            [v + step * d for v, d in zip(self.weights, self.aside)],
        )

    def responds(self) -> bool:
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
    """Sum of the products of whatever is not None."""
    pairs = [(a, b) for a, b in zip(values, directions) if a is not None]
    return (
        sum(tf.reduce_sum(tf.convert_to_tensor(a) * b) for a, b in pairs)
        if pairs
        else 0.0
    )


def _spread(values, directions):
    """Deviation of `_dot` over random directions."""
    pairs = [(a, b) for a, b in zip(values, directions) if a is not None]
    squares = [tf.reduce_sum(tf.square(tf.convert_to_tensor(a) * b)) for a, b in pairs]
    return tf.sqrt(sum(squares)) if squares else 0.0
