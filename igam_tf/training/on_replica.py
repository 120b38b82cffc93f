"""What any step knows of its replica: its share of a batch, and its seed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from igam_tf.training.fitting import Fitting


class OnReplica(Fitting):
    """The parts of a step that look the same in every method."""

    #: Given by the method, see `TrainingMethod`.
    seed: int

    def unpack(self, data: Any) -> tuple[Any, tf.Tensor, tf.Tensor]:
        """Images, labels, and the number of images over all replicas."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:
            raise ValueError(
                "fit got sample weights (or class weights), which no method here uses; "
                "pass (images, labels) only."
            )
        images = tf.cast(images, keras.config.floatx())
        labels = tf.reshape(tf.cast(labels, tf.int32), [-1])
        return images, labels, self.global_batch(images)

    def global_batch(self, images: tf.Tensor) -> tf.Tensor:
        """Number of images over all replicas, from this replica's images."""
        count = tf.cast(tf.shape(images)[0], images.dtype)
        return tf.distribute.get_replica_context().all_reduce("SUM", count)

    def step_seed(self, step: tf.Tensor) -> tf.Tensor:
        """This replica's seed of this step: int32 tensor [2]."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        draw = tf.cast(step, tf.int32) * self.num_replicas
        return tf.stack([self.seed, draw + replica])

    def maybe_xla(self, function: Callable, **kwargs: Any) -> Callable:
        """`function`, compiled by XLA if asked for: once for each `kwargs`."""
        bound = functools.partial(function, **kwargs)
        if not self._use_xla:
            return bound
        key = (function.__name__, *sorted(kwargs.items()))
        if key not in self._xla_functions:
            # Without XLA autograph rewrites none of it either: it would take an
            # eighth of the tracing to find nothing to do.
            self._xla_functions[key] = tf.function(
                bound, jit_compile=True, autograph=False
            )
        return self._xla_functions[key]
