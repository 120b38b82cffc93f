"""Compiled calls of a model, as a campaign makes them: each is traced once."""

import numpy as np
import tensorflow as tf

from igam_tf.attacks.classifier import logits_of
from igam_tf.attacks.compilation import compiled_for_any_batch
from igam_tf.attacks.losses import cross_entropy


class Calls:
    """What a campaign asks of one model, in one mode.

    Args:
        model: Keras model from images to logits (batch, classes).
        training: bool, the mode of the model.
    """

    def __init__(self, model, training):
        self.model, self.training = model, training

    def clean(self, images, labels, depth):
        """Classes ranked by their logits (batch, depth), and what `judge` returns."""
        training = self.training

        def look(model, images, labels):
            logits = logits_of(model, images, training)
            return tf.math.top_k(logits, depth).indices, *_judged(logits, labels)

        return self._arrays(("clean", training, depth), look, images, labels)

    def judge(self, images, labels, looks=1):
        """Whether images are misclassified at every look, and their cross entropy.

        Args:
            images: float32 array or tensor (batch, ...).
            labels: int32 array or tensor (batch,).
            looks: how often they are looked at: a model with random outputs
                misclassifies an image now and then by chance.

        Returns:
            Arrays (batch,) of bool and float32, the second of the last look.
        """
        training = self.training

        def judge(model, images, labels):
            return _judged(logits_of(model, images, training), labels)

        is_wrong = np.ones(len(labels), bool)
        for _ in range(looks):
            wrong_now, loss = self._arrays(("judge", training), judge, images, labels)
            is_wrong &= wrong_now
        return is_wrong, loss

    def begin(self, attack, start, tensors):
        """The state of a stepwise attack before its first step."""
        training = self.training

        def begin(model, start, tensors):
            return attack.begin(model, start, tensors, training)

        return self._compiled(attack, "begin", begin)(start, tensors)

    def advance(self, attack, state, start, stop, tensors):
        """The state after the steps `start` to `stop`, and which images met NaN."""
        training = self.training

        def advance(model, state, start, stop, tensors):
            state = attack.chunk(model, state, start, stop, tensors, training)
            is_nan = [
                tf.reduce_any(tf.math.is_nan(tensor), axis=range(1, tensor.shape.rank))
                for name, tensor in state.items()
                if name in ("adversarial", "gradient")
            ]
            return state, tf.reduce_any(tf.stack(is_nan), axis=0)

        function = self._compiled(attack, "advance", advance)
        state, is_nan = function(state, np.int32(start), np.int32(stop), tensors)
        return state, is_nan.numpy()

    def _compiled(self, attack, what, function):
        key = (type(attack), what, attack.structure, self.training)
        return compiled_for_any_batch(self.model, key, function)

    def _arrays(self, key, function, *arguments):
        tensors = compiled_for_any_batch(self.model, key, function)(*arguments)
        return tuple(tensor.numpy() for tensor in tensors)


def _judged(logits, labels):
    prediction = tf.argmax(logits, axis=1, output_type=tf.int32)
    return prediction != labels, cross_entropy(logits, labels)
