"""Keras' interface of a training method: `fit` and its kin, metrics, saving."""

import keras
import tensorflow as tf

from igam_tf import compat
from igam_tf.training import checks, feeding, replicas, student_check
from igam_tf.training.representation import represented
from igam_tf.training.watch import with_watch


class Fitting(compat.OwnLoop, keras.Model):
    """What Keras documents of `keras.Model`, for a method that trains a `student`.

    `fit`, `evaluate`, `train_on_batch` and `test_on_batch` take arrays, a
    tf.data.Dataset, a keras.utils.PyDataset or a generator of (images, labels): images
    float32 in [0, 1], labels class numbers (n,) or (n, 1), or rows that are exactly
    one-hot. Every batch is looked at before it is used. Metrics get class numbers.
    """

    #: Whether images may come in a pair (images, targets).
    takes_targets = False
    _watch = None

    def __repr__(self) -> str:
        return represented(self)

    def call(self, images, training=False):
        return self.student(images, training=training)

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        **kwargs,
    ):
        """Keras' `fit`; no class or sample weights.

        Raises:
            ValueError: if images are not in [0, 1] or labels are not classes, naming
                the batch; before the first step where that can be seen.
            TrainingDivergedError: if the loss is not finite, naming the batch; not
                where `keras.callbacks.TerminateOnNaN` is given.
        """
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

    def evaluate(self, x=None, y=None, batch_size=None, verbose="auto",
                 sample_weight=None, **kwargs):  # fmt: skip
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

    def predict(self, x, *args, **kwargs):
        """Keras' `predict`: the student's logits, an array (n, classes)."""
        x, _ = feeding.checked(x, None, self._expected(labels=False))
        with feeding.in_plain_words():
            return super().predict(x, *args, **kwargs)

    def predict_on_batch(self, x):
        """The student's logits for an array of images."""
        # Keras would let every replica look at all of them.
        return self.predict(x, batch_size=len(x), verbose=0)

    def train_on_batch(self, *args, **kwargs):
        """Keras' `train_on_batch`; no class or sample weights."""
        with feeding.in_plain_words():
            return super().train_on_batch(*args, **kwargs)

    def test_on_batch(self, *args, **kwargs):
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
        """What the compiled step reads: of `train_on_batch`, its one batch of arrays."""
        if isinstance(batches, (tf.data.Iterator, tf.distribute.DistributedIterator)):
            return batches
        (batch,) = batches
        images, labels = self._expected().checked(batch)
        feeding.check_shares(len(labels), len(labels), self.num_replicas)
        # Slices, so that the size of the batch is no part of what is traced.
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(len(labels))
        return iter(self.distribute_strategy.experimental_distribute_dataset(batches))

    def make_train_function(self, force=False):
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

    def make_test_function(self, force=False):
        if self.test_function is None or force:
            step = replicas.over_iterator(self, replicas.test_on_batch)
            self.test_function = lambda batches: step(self._iterator(batches))

    @property
    def num_replicas(self):
        return self.distribute_strategy.num_replicas_in_sync

    @property
    def metrics(self):
        # Without Keras' own mean of the loss, in whose place the method's stands: first.
        own = getattr(self, "means", [])[:1]
        return own + [m for m in super().metrics if m.name != "loss"]

    @property
    def trainable_weights(self):
        # What the first optimizer, Keras' optimizer, updates and averages.
        return list(self.trained_variables)

    # Saving.

    def save(self, filepath, overwrite=True, **kwargs):
        """Saves the student as a plain Keras model, which is what a method is for.

        So does `keras.callbacks.ModelCheckpoint("student.keras")`. The whole state of the
        training, discriminator included, is saved by `save_weights`,
        `ModelCheckpoint("state.weights.h5", save_weights_only=True)` and
        `keras.callbacks.BackupAndRestore`.
        """
        self.student.save(filepath, overwrite=overwrite, **kwargs)

    def export(self, filepath, *args, **kwargs):
        """Exports the student; see `keras.Model.export`."""
        return self.student.export(filepath, *args, **kwargs)

    def get_config(self):
        raise ValueError(
            f"{type(self).__name__} has no configuration to save or copy: expected its "
            "student; save method.student, and the state of the training by "
            "method.save_weights('state.weights.h5')."
        )
