"""What all attacks share: the call on arrays, and the call inside a graph."""

import abc

import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.compilation import compiled
from igam_tf.attacks.initialization import image_seeds
from igam_tf.data import check_labels


class Attack(abc.ABC):
    """Base class: a subclass says how one batch is attacked, in `run`.

    Hyper-parameters that only change numbers belong into `tensors`, those that change
    the graph into `structure`: attacks of one structure share one compiled function.

    Attributes:
        eps: radius of the allowed ball, as a fraction such as 8/255.
        norm: "linf" or "l2", the norm of that ball.
        loss: name of the loss by which two results for one image compare.
        seed: integer, the seed of random starts.
        random_start: whether another seed gives another result.
        family: hashable; attacks of one family differ in their effort only.
        effort: tuple of numbers; an attack with none of them smaller must not be
            weaker. Both are used to notice gradient masking; None if not comparable.
        covers_ball: whether every point of the ball is within its reach. PGD-5 with
            steps of eps / 4 from a random start is not sure to cross it, and may be
            weaker than FGSM for that reason alone.
        in_graph: whether `perturb` works; the attacks of AutoAttack run from Python.
    """

    loss = "cross_entropy"
    random_start = False
    family = None
    effort = None
    covers_ball = True
    in_graph = True

    @property
    @abc.abstractmethod
    def structure(self):
        """Hashable: everything that the compiled graph depends on."""

    @abc.abstractmethod
    def tensors(self):
        """Tuple of NumPy scalars: the numbers that `run` gets as tensors."""

    @abc.abstractmethod
    def run(self, model, images, labels, seed, tensors, training):
        """Adversarial images (tensor) of one batch; see `perturb` for the arguments."""

    def perturb(self, model, images, labels, *, seed, training=False):
        """Attacks one batch inside a `tf.function`, a replica function or XLA.

        Best called outside of `tf.GradientTape`; under one, no gradient flows back
        through the attack.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 tensor (batch, height, width, channels) in [0, 1].
            labels: integer tensor (batch,).
            seed: int32 tensor [2], one draw for the batch, or [batch, 2], one seed an
                image.
            training: bool, the mode of the model. Its state (moving statistics) does
                not change either way.

        Returns:
            float32 tensor like `images`.
        """
        images, labels = tf.stop_gradient(images), tf.cast(labels, tf.int32)
        tensors = tuple(tf.constant(value) for value in self.tensors())
        seed = tf.convert_to_tensor(seed, tf.int32)
        adversarial = self.run(model, images, labels, seed, tensors, training)
        return tf.stop_gradient(adversarial)

    def __call__(self, model, images, labels, *, training=False, first_index=0):
        """Attacks images as one batch, by a function compiled once per shape.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 array or tensor (batch, height, width, channels) in [0, 1].
            labels: integers (batch,).
            training: bool, the mode of the model; True attacks the network with the
                batch statistics of these very images.
            first_index: place of the first image in its data set. Random starts
                depend on the seed and an image's place, not on the batch.

        Returns:
            float32 array like `images`: the adversarial images.

        Raises:
            ValueError: if the images, labels or model do not fit, or if the attack
                met NaN.
        """
        images, labels = checks.images_and_labels(images, labels)
        check_labels(labels, num_classes(model, images))
        seeds = image_seeds(self.seed, first_index, len(images))
        arrays = (images, labels, seeds, self.tensors())

        def run(model, *tensors):
            return self.run(model, *tensors, training=training)

        attacked = compiled(model, (type(self), self.structure, training), run)
        adversarial = attacked(*tf.nest.map_structure(tf.constant, arrays)).numpy()
        _check_result(adversarial, self)
        return adversarial


def _check_result(adversarial, attack):
    broken = np.isnan(adversarial).reshape(len(adversarial), -1).any(axis=1)
    if broken.any():
        raise ValueError(
            f"{attack} met NaN at {broken.sum()} of {len(broken)} images: the model's "
            "input gradient is NaN there (a square root or a division at zero?), which "
            "would pass for robustness; make the model differentiable at its inputs."
        )
