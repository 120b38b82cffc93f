"""Optimizers and schedules of the TF1 originals."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import keras
import tensorflow as tf
from keras import ops

from igam_tf import compat, models
from igam_tf.compat.optimizers import clipped_gradients


@keras.saving.register_keras_serializable("igam_tf")
class Momentum(keras.optimizers.SGD):
    """TensorFlow 1's `MomentumOptimizer`.

        accumulator = momentum * accumulator + gradient
        variable -= learning_rate * accumulator
        variable -= learning_rate * (gradient + momentum * accumulator)  (nesterov)

    Keras' SGD stores the product with the learning rate instead: after a change of
    the learning rate the two differ.

    Args:
        learning_rate: a number or a schedule.
        momentum: share of the accumulator that is kept.
        nesterov: whether the step looks ahead, as TensorFlow 1's `use_nesterov`.
        **kwargs: further arguments of `keras.optimizers.SGD`, such as `clipnorm`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, momentum, nesterov, **kwargs)

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        if not self.momentum:
            # Keras makes no accumulators then.
            super().update_step(gradient, variable, learning_rate)
            return
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        accumulator = compat.momentum_slot(self, variable)
        self.assign(accumulator, accumulator * self.momentum + gradient)
        step = gradient + self.momentum * accumulator if self.nesterov else accumulator
        self.assign_sub(variable, rate * step)


def piecewise_constant(
    learning_rate: float, total_steps: int, *, drops_at: Sequence[float] = (0.5, 0.75)
) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """Divides the learning rate by 10 at fractions of the training (the authors').

    Args:
        learning_rate: rate at the start: 0.1 in the paper.
        total_steps: number of optimizer steps.
        drops_at: fractions of `total_steps`; a boundary still has the rate before it.

    Returns:
        keras.optimizers.schedules.PiecewiseConstantDecay, or the rate if no drop.
    """
    boundaries = [int(total_steps * fraction) for fraction in drops_at]
    boundaries = sorted({b for b in boundaries if 0 < b < total_steps})
    if not boundaries:
        return learning_rate
    values = [learning_rate * 0.1**i for i in range(len(boundaries) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, values)


def cosine(
    learning_rate: float,
    total_steps: int,
    *,
    warmup: float = 0.0,
    last: float = 0.0,
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Half a cosine down from the learning rate, after a linear warm-up to it.

    Args:
        learning_rate: rate at the end of the warm-up.
        total_steps: number of optimizer steps, warm-up included.
        warmup: fraction of `total_steps` over which the rate rises from a thousandth.
        last: rate at the end.

    Returns:
        keras.optimizers.schedules.CosineDecay.
    """
    rising = round(warmup * total_steps)
    rates: dict[str, Any] = {"initial_learning_rate": learning_rate}
    if rising:
        rates = {
            "initial_learning_rate": learning_rate / 1000,
            "warmup_target": learning_rate,
            "warmup_steps": rising,
        }
    return keras.optimizers.schedules.CosineDecay(
        decay_steps=max(total_steps - rising, 1), alpha=last / learning_rate, **rates
    )


def is_kernel(variable: keras.Variable) -> bool:
    """Whether a weight decays: a kernel, of which separable convolutions have two."""
    return variable.name in ("kernel", "depthwise_kernel", "pointwise_kernel")


def decay_kernels_only(
    optimizer: keras.optimizers.Optimizer, variables: Sequence[keras.Variable]
) -> None:
    """Lets an optimizer's own weight decay leave norms and biases alone.

    Args:
        optimizer: not built yet; nothing is done for one without decay.
        variables: what it will train.
    """
    if compat.without_loss_scale(optimizer).weight_decay:
        others = [v for v in variables if not is_kernel(v)]
        compat.without_loss_scale(optimizer).exclude_from_weight_decay(others)


@keras.saving.register_keras_serializable("igam_tf")
class EverySteps(keras.optimizers.schedules.LearningRateSchedule):
    """Another optimizer's schedule, for one that steps once in `every` of its steps.

    Args:
        schedule: schedule of the first optimizer, a function of its steps.
        start: its step at which the second optimizer begins.
        every: its steps for each step of the second optimizer.
    """

    def __init__(self, schedule: Callable, start: int, every: int) -> None:
        self.schedule = schedule
        self.start = start
        self.every = every

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        return self.schedule(self.start + step * self.every)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "start": self.start,
            "every": self.every,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(schedule, config["start"], config["every"])


def with_loss_scale(
    optimizer: keras.optimizers.Optimizer | str, network: keras.Model
) -> keras.optimizers.Optimizer:
    """The optimizer, made to scale the loss if the network computes in float16.

    Args:
        optimizer: keras optimizer, or its name.
        network: keras.Model that it trains.
    """
    optimizer = keras.optimizers.get(optimizer)
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if models.compute_dtype(network) != "float16" or scales:
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer)


def apply_gradients(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    variables: Sequence[keras.Variable],
) -> None:
    """Updates variables by the sum of all replicas' gradients, clipped as a whole.

    Keras' optimizers clip what each replica hands in, and sum afterwards: of n
    replicas the update may be n times the limit. So here they are summed first, and
    each replica hands in its n-th part of what is left, which no limit changes again.

    Args:
        optimizer: compiled optimizer.
        gradients: this replica's, scaled by `optimizer.scale_loss`: list of tensors.
        variables: what they are gradients of.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    inner = compat.without_loss_scale(optimizer)
    if replicas > 1 and (inner.clipnorm or inner.global_clipnorm or inner.clipvalue):
        scale = optimizer.scale_loss(1.0)
        summed = context.all_reduce("SUM", list(gradients))
        clipped = clipped_gradients(inner, [g / scale for g in summed])
        gradients = [
            # A clipped overflow must still be seen, so that its step is skipped.
            tf.where(tf.math.is_finite(whole), part * scale / replicas, whole)
            for whole, part in zip(summed, clipped, strict=True)
        ]
    optimizer.apply(gradients, variables)


def reported_norm(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[tf.Tensor],
    share: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Norm of gradients, and its weight in a running mean.

    The sum over replicas bounds the norm of their sum; for one replica it is equal.

    Args:
        optimizer: compiled optimizer, which may have scaled the gradients.
        gradients: list of tensors.
        share: weight of the norm.

    Returns:
        Tuple (norm, weight) of scalars. A step of float16 that overflowed is skipped by
        its optimizer, and counts for nothing.
    """
    norm = tf.linalg.global_norm(gradients) / optimizer.scale_loss(1.0)
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return norm, share
    finite = tf.math.is_finite(norm)
    return tf.where(finite, norm, 0.0), tf.where(finite, share, 0.0)


def following(
    optimizer: keras.optimizers.Optimizer, *, start: int, every: int
) -> keras.optimizers.Optimizer:
    """A new optimizer with the settings of another, whose schedule it follows.

    In the authors' code student and discriminator read the learning rate off one
    global step.

    Args:
        optimizer: keras optimizer of the student.
        start: student step at which the new optimizer begins.
        every: student steps for each of its steps.

    Returns:
        keras optimizer without state.
    """
    optimizer = compat.without_loss_scale(optimizer)
    config = optimizer.get_config()
    copy = type(optimizer).from_config(config)
    schedule = compat.learning_rate(optimizer)
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        first = -(-start // every) * every
        copy.learning_rate = EverySteps(schedule, first, every)
    return copy
