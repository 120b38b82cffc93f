"""What an attack is: the call that all share, and the contract of FGSM and PGD.

All are called as `attack(model, images, labels)`. There are two kinds:

- A `GraphAttack` maps a batch inside a graph, in one compiled loop. FGSM and PGD are
  such, with restarts; training on adversarial images takes these.
- A `StepwiseAttack` (`stepwise.py`) runs from Python on the images that are left. APGD,
  FAB, Square and SPSA are such, and AutoAttack consists of them.

The page `README.md` beside this file shows how to write one.
"""

import abc
from collections.abc import Hashable

import keras
import numpy as np
import tensorflow as tf

from igam_tf import losses
from igam_tf.attacks import checks
from igam_tf.attacks.classifier import num_classes, takes_any_batch
from igam_tf.attacks.engine.batching import Numbers, Tensors
from igam_tf.attacks.engine.compilation import compiled, compiled_for_any_batch
from igam_tf.attacks.geometry import image_seeds
from igam_tf.data import check_labels


class Attack(abc.ABC):
    """What all attacks have: a ball, a seed, and the call on arrays.

    Attributes:
        eps: radius of the allowed ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1", the norm of that ball.
        seed: integer, the seed of random starts.
        loss: name of the loss by which two results for one image compare.
        random_start: whether another seed gives another result.
        family: hashable; attacks of one family differ in their effort only.
        effort: tuple of numbers; an attack with none of them smaller must not be
            weaker. Both are used to notice gradient masking; None if not comparable.
        covers_ball: whether every point of the ball is within its reach. PGD-5 with
            steps of eps / 4 from a random start is not sure to cross it, and may be
            weaker than FGSM for that reason alone.
    """

    eps: float
    norm: str
    seed: int
    loss: str = "cross_entropy"
    random_start: bool = False
    family: Hashable | None = None
    effort: tuple[int, ...] | None = None
    covers_ball: bool = True

    @abc.abstractmethod
    def __call__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int = 0,
    ) -> np.ndarray:
        """Attacks images.

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


class GraphAttack(Attack):
    """An attack that maps a batch inside a graph: a subclass says how, in `run`.

    Hyper-parameters that only change numbers belong in `numbers`, those that change
    the graph in `structure`: attacks of one structure share one compiled function.
    """

    @property
    @abc.abstractmethod
    def structure(self) -> Hashable:
        """Everything that the compiled graph depends on."""

    @property
    @abc.abstractmethod
    def numbers(self) -> Numbers:
        """NumPy numbers by name, which `run` gets as tensors."""

    @abc.abstractmethod
    def run(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
        training: bool,
    ) -> tf.Tensor:
        """Adversarial images of one batch; see `perturb` for the arguments."""

    def run_shrinking(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
    ) -> tf.Tensor:
        """As `run` in inference mode, where batches of any size may be computed.

        An attack may leave out here whatever changes nothing in its result: images that
        have come to rest, or that need no more restarts. `run` keeps its shapes, for
        XLA and exports. It is `run` unless a class defines it; a class that derives
        from such a one and defines `run` alone has its own `run` called.
        """
        return self.run(model, images, labels, seed, numbers, False)

    def run_any_batch(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        seed: tf.Tensor,
        numbers: Tensors,
    ) -> tf.Tensor:
        """`run_shrinking` of the class that has defined `run` last."""
        for kind in type(self).__mro__:
            if "run_shrinking" in vars(kind):
                return self.run_shrinking(model, images, labels, seed, numbers)
            if "run" in vars(kind):
                break
        return self.run(model, images, labels, seed, numbers, False)

    def perturb(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        *,
        seed: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Attacks one batch inside a `tf.function`, a replica function or XLA.

        Best called outside of `tf.GradientTape`; under one, no gradient flows back
        through the attack.

        Args:
            model: Keras model from images to logits (batch, classes).
            images: float32 tensor (batch, height, width, channels) in [0, 1].
            labels: integer tensor (batch,); an attack on the cross entropy may get soft
                ones, see `igam_tf.losses.cross_entropy`.
            seed: int32 tensor [2], one draw for the batch, or [batch, 2], one seed an
                image.
            training: bool, the mode of the model. Its state (moving statistics) does
                not change either way.

        Returns:
            float32 tensor like `images`.
        """
        images = tf.stop_gradient(images)
        labels = labels if losses.is_soft(labels) else tf.cast(labels, tf.int32)
        numbers = {name: tf.constant(value) for name, value in self.numbers.items()}
        seed = tf.convert_to_tensor(seed, tf.int32)
        adversarial = self.run(model, images, labels, seed, numbers, training)
        return tf.stop_gradient(adversarial)

    def __call__(
        self,
        model: keras.Model,
        images: np.ndarray | tf.Tensor,
        labels: np.ndarray | tf.Tensor,
        *,
        training: bool = False,
        first_index: int | np.ndarray = 0,
    ) -> np.ndarray:
        """Attacks images as one batch, by a function compiled once.

        `first_index` may be an array (batch,) as well: the place of each image.
        """
        images, labels = checks.images_and_labels(images, labels)
        check_labels(labels, num_classes(model, images))
        seeds = image_seeds(self.seed, first_index, len(images))
        arrays = (images, labels, seeds, self.numbers)
        key = (type(self), self.structure, training)
        if training or not takes_any_batch(model):

            def run(model, *tensors):
                return self.run(model, *tensors, training=training)

            attacked = compiled(model, key, run)
            adversarial = attacked(*tf.nest.map_structure(tf.constant, arrays)).numpy()
        else:

            def run_any_batch(model, *tensors):
                return self.run_any_batch(model, *tensors)

            attacked = compiled_for_any_batch(model, key, run_any_batch)
            adversarial = attacked(*arrays).numpy()
        check_result(adversarial, self)
        return adversarial


def check_in_graph(attack: Attack) -> None:
    """Raises ValueError unless an attack maps a batch inside a graph."""
    if not isinstance(attack, GraphAttack):
        raise ValueError(
            f"{attack} inside a compiled function (adversarial training or an export): "
            "it runs from Python, on arrays; use igam_tf.attacks.pgd there."
        )


def check_result(adversarial: np.ndarray, attack: Attack) -> None:
    """Raises ValueError if an attack met NaN."""
    is_nan = np.isnan(adversarial).reshape(len(adversarial), -1).any(axis=1)
    if is_nan.any():
        raise ValueError(
            f"{attack} met NaN at {is_nan.sum()} of {len(is_nan)} images: the model's "
            "input gradient is NaN there (a square root or a division at zero?), which "
            "would pass for robustness; make the model differentiable at its inputs."
        )
