"""The compiled function that Keras' `fit` and `evaluate` call with their iterator."""

import tensorflow as tf


def over_iterator(model, on_batch):
    """`steps_per_execution` batches of an iterator, in one compiled call.

    Args:
        model: keras.Model, whose `steps_per_execution` and `run_eagerly` hold.
        on_batch: function of one batch, in cross-replica context, to logs.

    Returns:
        Function of an iterator to the logs of the last batch.
    """
    on_batch = tf.autograph.experimental.do_not_convert(on_batch)

    def execute(iterator):
        logs = on_batch(iterator.get_next())
        for _ in tf.range(model.steps_per_execution - 1):
            batch = iterator.get_next_as_optional()
            if not batch.has_value():
                break
            logs = on_batch(batch.get_value())
        return logs

    if model.run_eagerly:
        return lambda iterator: on_batch(next(iterator))
    if model.steps_per_execution == 1:
        # The loop would trace the step a second time.
        return tf.function(
            lambda iterator: on_batch(iterator.get_next()), reduce_retracing=True
        )
    return tf.function(execute, reduce_retracing=True)
