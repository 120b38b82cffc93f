"""Keras' interface of a training method: `compile`, `fit`, `evaluate`, saving."""

import os
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import keras
import numpy as np
import tensorflow as tf

from igam_tf import compat, distribution
from igam_tf.compat.replicas import distributed
from igam_tf.data.batches import without_tuning
from igam_tf.derivatives import moments
from igam_tf.training import checks, feeding, replicas, student_check
from igam_tf.training.optimizers import with_loss_scale
from igam_tf.training.representation import represented
from igam_tf.training.watch import Watch, with_watch


class Fitting(compat.OwnLoop, keras.Model):
    """The documented interface of `keras.Model`, for a method that trains a `student`.

    `fit`, `evaluate`, `train_on_batch` and `test_on_batch` take arrays, a
    tf.data.Dataset, a keras.utils.PyDataset or a generator of (images, labels): images
    float32 in [0, 1], labels class numbers (n,) or (n, 1), or rows that are exactly
    one-hot. Every batch is checked before it is used. Metrics get class numbers.
    """

    #: Whether images may come in a pair (images, targets).
    takes_targets: bool = False
    #: Given by the method, see `TrainingMethod`.
    student: keras.Model
    #: What Keras calls with an iterator of batches; made by `fit` and `evaluate`.
    train_function: Callable | None
    test_function: Callable | None
    _watch: Watch | None = None
    _xla_functions: dict[tuple, Callable]
    _compiled_for: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return represented(self)

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str,
        *,
        jit_compile: bool | str = "auto",
        metrics: Any = ("accuracy",),
        **kwargs: Any,
    ) -> None:
        """Configures training; call it under the strategy that trains.

        Args:
            optimizer: optimizer of the student; of a float16 one it scales the loss.
            jit_compile: "auto" (on a GPU), True or False: gradients through XLA.
            metrics: Keras metrics of (class numbers, logits), or None.
            **kwargs: `steps_per_execution`, `run_eagerly`.

        Raises:
            ValueError: if a loss is given, if the optimizer gathers gradients over
                steps, if the student computes probabilities, or if a metric does not
                take class numbers.
        """
        if kwargs.keys() & {"loss", "loss_weights"}:
            raise ValueError(
                f"compile got {sorted(kwargs)}: {type(self).__name__} defines its "
                "loss; leave loss and loss_weights out."
            )
        moments.check()
        optimizer = with_loss_scale(optimizer, self.student)
        checks.check_optimizer(optimizer)
        checks.check_no_probabilities(self.student)
        metrics = checks.checked_metrics(metrics)
        classes = self.student.output_shape[-1]
        for metric in metrics:
            checks.check_metric(metric, classes)
        super().compile(
            optimizer=optimizer,
            metrics=metrics,
            jit_compile=False,
            **{**kwargs, "auto_scale_loss": False},
        )
        self._use_xla = distribution.resolve_jit_compile(jit_compile)
        self._xla_functions = {}
        # Built now, over its own variables, so that a checkpoint holds its state.
        self.optimizer.build(self.trained_variables)
        self._compiled_for = frozenset(map(id, self.all_trained_variables))
        # So are the metrics: a step that makes variables is traced twice.
        self.compute_metrics(None, tf.zeros([1], tf.int32), tf.zeros([1, classes]))
        self.reset_metrics()

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.student(images, training=training)

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> keras.callbacks.History:
        """Keras' `fit`; no class or sample weights.

        Raises:
            ValueError: if images are not in [0, 1] or labels are not classes, naming
                the batch; before the first step where that can be seen. If no weight
                of the student is trainable, or others than in `compile` are.
            TrainingDivergedError: if the loss is not finite, naming the batch; not
                where `keras.callbacks.TerminateOnNaN` is given.
        """
        # Over forty lines because of Keras' arguments.
        checks.check_weights(class_weight=class_weight, sample_weight=sample_weight)
        given, watch = with_watch(callbacks)
        checks.check_callbacks(given if isinstance(given, list) else given.callbacks)
        x, y = feeding.checked(x, y, self._expected())
        if validation_data is not None:
            validation_data = self._checked_validation(validation_data)
        if isinstance(x, tf.data.Dataset):
            shuffle = False
        elif hasattr(x, "shape"):
            count = len(x) - int(len(x) * validation_split)
            feeding.check_shares(count, batch_size or 32, self.num_replicas)
        # Callbacks may freeze layers, too: looked at before `fit` takes averages.
        watch.each_epoch = self.check_still_trainable
        self._watch = watch
        try:
            with feeding.in_plain_words(watch.where):
                return super().fit(
                    x,
                    y,
                    batch_size=batch_size,
                    epochs=epochs,
                    verbose=verbose,
                    callbacks=given,
                    validation_split=validation_split,
                    validation_data=validation_data,
                    shuffle=shuffle,
                    **kwargs,
                )
        finally:
            self._watch = None

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Keras' `evaluate`: the cross entropy as "loss", and the metrics.

        Raises:
            ValueError: if images are not in [0, 1] or labels are not classes.
        """
        checks.check_weights(sample_weight=sample_weight)
        if not kwargs.get("_use_cached_eval_dataset"):
            x, y = feeding.checked(x, y, self._expected())
        with feeding.in_plain_words():
            return super().evaluate(
                x, y, batch_size=batch_size, verbose=verbose, **kwargs
            )

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Keras' `predict`: the student's logits, an array (n, classes)."""
        x, _ = feeding.checked(x, None, self._expected(labels=False))
        with feeding.in_plain_words():
            return super().predict(x, *args, **kwargs)

    def predict_on_batch(self, x: Any) -> np.ndarray:
        """The student's logits for an array of images."""
        # Keras would let every replica look at all of them.
        return self.predict(x, batch_size=len(x), verbose=0)

    def train_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `train_on_batch`; no class or sample weights."""
        with feeding.in_plain_words():
            return super().train_on_batch(*args, **kwargs)

    def test_on_batch(self, *args: Any, **kwargs: Any) -> Any:
        """Keras' `test_on_batch`; no sample weights."""
        with feeding.in_plain_words():
            return super().test_on_batch(*args, **kwargs)

    def _expected(self, **kwargs):
        return feeding.Expected(
            image_shape=tuple(self.student.input_shape[1:]),
            num_classes=self.student.output_shape[-1],
            targets=self.takes_targets,
            **kwargs,
        )

    def _checked_validation(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        checks.check_weights(sample_weight=weights)
        x, y = feeding.checked(x, y, self._expected(name="validation_data"))
        return x if y is None else (x, y)

    def _iterator(self, batches):
        """What the compiled step reads; `train_on_batch` gives it one batch."""
        if isinstance(batches, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return batches
        (batch,) = batches
        images, labels = self._expected().checked(batch)
        feeding.check_shares(len(labels), len(labels), self.num_replicas)
        # Slices, so that the size of the batch is no part of what is traced.
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(
            len(labels)
        )
        return iter(self.distributed(batches))

    def distributed(self, batches: tf.data.Dataset) -> Iterable:
        """What Keras reads: an interrupted `fit` of arrays ends at once, too."""
        return distributed(self.distribute_strategy, without_tuning(batches))

    def make_train_function(self, force: bool = False) -> None:
        checks.check_trainable(self.student)
        self.check_still_trainable()
        if self.train_function is not None and not force:
            return
        student_check.check_student(self)
        step = replicas.over_iterator(self, replicas.train_on_batch)

        def train(batches):
            logs = step(self._iterator(batches))
            if self._watch is not None:
                self._watch.look(logs)
            return logs

        self.train_function = train

    def make_test_function(self, force: bool = False) -> None:
        if self.test_function is None or force:
            step = replicas.over_iterator(self, replicas.test_on_batch)
            self.test_function = lambda batches: step(self._iterator(batches))

    @property
    def num_replicas(self) -> int:
        return self.distribute_strategy.num_replicas_in_sync

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        # The method's mean of the loss comes first, and replaces Keras' own.
        own = getattr(self, "means", [])[:1]
        return own + [m for m in super().metrics if m.name != "loss"]

    @property
    def trainable_weights(self) -> list[keras.Variable]:
        # What the first optimizer, Keras' optimizer, updates and averages.
        return list(self.trained_variables)

    @property
    def all_trained_variables(self) -> list[keras.Variable]:
        """What all optimizers update: a list of variables."""
        return list(self.trained_variables)

    def check_still_trainable(self) -> None:
        """Raises ValueError if other weights are trainable than in `compile`."""
        checks.check_still_trainable(self._compiled_for, self.all_trained_variables)

    # Saving.

    def save(
        self, filepath: str | os.PathLike, overwrite: bool = True, **kwargs: Any
    ) -> None:
        """Saves the student as a plain Keras model.

        So does `keras.callbacks.ModelCheckpoint("student.keras")`. The whole state of
        the training, discriminator included, is saved by `save_weights`,
        `ModelCheckpoint("state.weights.h5", save_weights_only=True)` and
        `keras.callbacks.BackupAndRestore`.
        """
        self.student.save(filepath, overwrite=overwrite, **kwargs)

    def export(self, filepath: str | os.PathLike, *args: Any, **kwargs: Any) -> Any:
        """Exports the student; see `keras.Model.export`."""
        return self.student.export(filepath, *args, **kwargs)

    def get_config(self) -> NoReturn:
        raise ValueError(
            f"{type(self).__name__} has no configuration to save or copy: expected its "
            "student; save method.student, and the state of the training by "
            "method.save_weights('state.weights.h5')."
        )
