"""Plain and adversarial training: the rows Standard and PGD7 of the paper's tables."""

import tensorflow as tf

from igam_tf.training.base import TrainingMethod


class StandardTraining(TrainingMethod):
    """Minimises the cross entropy (Eq. 1); of adversarial images with an `attack`.

    Args:
        student: keras.Model from images to logits.
        **kwargs: `attack`, `weight_decay`, `seed` of `TrainingMethod`.
    """

    def loss_terms(self, images, labels, targets, *, phase, global_batch):
        del targets, phase, global_batch
        logits = self.student(images, training=True)
        cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return {"cross_entropy": cross_entropy}, logits, {}


class AdversarialTraining(StandardTraining):
    """Trains on the worst case an attack finds (Eq. 3; Madry et al. 2018).

    Args:
        student: keras.Model from images to logits.
        attack: for instance `igam_tf.attacks.pgd(eps=8/255, num_steps=7)`.
        **kwargs: `weight_decay`, `seed` of `TrainingMethod`.
    """

    def __init__(self, student, attack, **kwargs):
        super().__init__(student, attack=attack, **kwargs)
