"""What the checks look at: a model, a few images, and attacks run once."""

import functools

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import Attack
from igam_tf.attacks.classifier import input_gradient, num_classes
from igam_tf.attacks.engine.compilation import compiled
from igam_tf.attacks.geometry import image_seeds, uniform_in_ball
from igam_tf.attacks.losses import cross_entropy
from igam_tf.data import check_labels
from igam_tf.evaluation.batches import by_batch, finite_logits
from igam_tf.gradients import per_image_cosine


class ModelUnderTest:
    """A classifier, and the images of the panel.

    Attacks see the same batches as the checks of outputs; each runs once and its
    result is kept.

    Args:
        model: Keras model from images to logits.
        batches: list of (images, labels), in memory.
        eps: radius of the allowed ball.
        norm: "linf" or "l2".
        training: bool, the mode in which the model is attacked and classifies.
        seed: integer, seed of random starts and noise.

    Attributes:
        images: float32 array (n, height, width, channels): all images.
        labels: int32 array (n,).
        is_correct: bool array (n,): right on the clean images.
        is_robust: bool array (n,): right so far, whatever was tried inside the ball.
    """

    def __init__(
        self,
        model: keras.Model,
        batches: list[tuple[np.ndarray, np.ndarray]],
        *,
        eps: float,
        norm: str,
        training: bool,
        seed: int,
    ) -> None:
        self.model, self.eps, self.norm = model, eps, norm
        self.training, self.seed = training, seed
        self.images = np.concatenate([images for images, _ in batches])
        self.labels = np.concatenate([labels for _, labels in batches])
        check_labels(self.labels, num_classes(model, self.images))
        self._sizes = [len(labels) for _, labels in batches]
        self._known: dict[tuple, np.ndarray] = {}
        self.clean_logits = self.logits(self.images)
        self.is_correct = self.clean_logits.argmax(axis=1) == self.labels
        self.is_robust = self.is_correct

    @functools.cached_property
    def robust_to_gradients(self) -> np.ndarray:
        """What is robust when this is first asked for, after the gradient attacks."""
        return self.is_robust

    @property
    def ball(self) -> dict[str, float | str | int]:
        """The keyword arguments that attacks in this ball share."""
        return {"eps": self.eps, "norm": self.norm, "seed": self.seed}

    def __len__(self) -> int:
        return len(self.labels)

    def logits(self, images: np.ndarray, training: bool | None = None) -> np.ndarray:
        """Logits (n, classes) of other versions of the images, in the same batches."""
        training = self.training if training is None else training

        def call(first_index, images):
            what = f"images of the panel from {first_index} on"
            return finite_logits(self.model, images, training, what)

        return self._by_batch(call, images, training=training)

    def robust_under(
        self,
        attack: Attack,
        *,
        source: keras.Model | None = None,
        training: bool | None = None,
    ) -> np.ndarray:
        """Which images are right both when clean and when attacked.

        Args:
            attack: an attack, in the panel's ball or in another one.
            source: model to attack instead, whose images are then transferred.
            training: mode of the model, or None for its mode in the panel.

        Returns:
            bool array (n,).
        """
        training = self.training if training is None else training
        key = (repr(attack), source and id(source), training)
        if key not in self._known:
            adversarial = self.attacked(attack, source=source, training=training)
            right = self.logits(adversarial, training).argmax(axis=1) == self.labels
            clean = self.is_correct
            if training != self.training:
                clean = self.logits(self.images, training).argmax(axis=1) == self.labels
            elif attack.eps <= self.eps:
                self.is_robust = self.is_robust & right
            self._known[key] = clean & right
        return self._known[key]

    def attack_rows(
        self,
        attack: Attack,
        rows: np.ndarray,
        *,
        source: keras.Model | None = None,
    ) -> np.ndarray:
        """Attacks some images only; `robust_under`, but for those alone.

        With batch statistics all are attacked, since they need their neighbours.

        Args:
            attack: an attack in the panel's ball.
            rows: bool array (n,).
            source: as in `robust_under`.

        Returns:
            bool array (n,): those of `rows` that are right when attacked.
        """
        if self.training:
            return rows & self.robust_under(attack, source=source)
        if not rows.any():
            return rows

        def call(first_index, images, labels):
            return attack(source or self.model, images, labels, first_index=first_index)

        arrays, size = (self.images[rows], self.labels[rows]), max(self._sizes)
        count = len(arrays[0])
        sizes = [min(size, count - start) for start in range(0, count, size)]
        adversarial = self.images.copy()
        adversarial[rows] = by_batch(call, arrays, sizes)
        right = self.logits(adversarial).argmax(axis=1) == self.labels
        self.is_robust = self.is_robust & (right | ~rows)
        return rows & right

    def robust_under_noise(self, num_draws: int) -> np.ndarray:
        """Which images are right under uniform noise of size eps.

        Args:
            num_draws: number of draws.

        Returns:
            bool array (num_draws, n).
        """
        images, right = tf.constant(self.images), []
        for draw in range(num_draws):
            seed = tf.constant([self.seed, draw])
            direction = uniform_in_ball(images, seed, self.norm)
            moved = tf.clip_by_value(images + self.eps * direction, 0.0, 1.0)
            right.append(self.logits(moved.numpy()).argmax(axis=1) == self.labels)
        self.is_robust = self.is_robust & np.all(right, axis=0)
        return np.stack(right)

    def attacked(
        self,
        attack: Attack,
        *,
        source: keras.Model | None = None,
        training: bool = False,
    ) -> np.ndarray:
        """Adversarial images (n, ...) of the model, or of a source model."""

        def call(first_index, images, labels):
            return attack(
                source or self.model,
                images,
                labels,
                training=training and source is None,
                first_index=first_index,
            )

        return self._by_batch(call, self.images, self.labels, training=training)

    @functools.cached_property
    def gradients(self) -> dict[str, np.ndarray]:
        """Gradients of the loss at the images and a random step away from them.

        Returns:
            Dict of float arrays (n,): "clean" and "random_start", the largest entry of
            the gradient of the cross entropy, without sign, for [0, 1] pixels; and
            "cosine" between the two gradients.
        """
        function = compiled(
            self.model,
            ("panel gradients", self.norm, self.training),
            functools.partial(_gradients, norm=self.norm, training=self.training),
        )

        def call(first_index, images, labels):
            seeds = image_seeds(self.seed, first_index, len(images))
            arguments = (images, labels, seeds, np.float32(self.eps))
            return np.stack(function(*map(tf.constant, arguments)), axis=1)

        found = self._by_batch(call, self.images, self.labels, training=self.training)
        names = ("clean", "random_start", "cosine")
        return dict(zip(names, found.T, strict=True))

    def _by_batch(self, call, *arrays, training):
        # Images that only fill a batch would change its statistics.
        size = None if training else max(self._sizes)
        return by_batch(call, arrays, self._sizes, padded_size=size)


def _gradients(model, images, labels, seeds, eps, *, norm, training):
    noise = uniform_in_ball(images, seeds, norm)
    at_image = _loss_gradient(model, images, labels, training)
    nearby = tf.clip_by_value(images + eps * noise, 0.0, 1.0)
    near_it = _loss_gradient(model, nearby, labels, training)
    axes = list(range(1, images.shape.rank))
    largest = [tf.reduce_max(tf.abs(g), axis=axes) for g in (at_image, near_it)]
    # Entries of 1e-30 would vanish when squared: brought to a largest entry of 1.
    scaled = [
        tf.math.divide_no_nan(g, tf.reshape(m, [-1] + [1] * len(axes)))
        for g, m in zip((at_image, near_it), largest, strict=True)
    ]
    return *largest, per_image_cosine(*scaled)


def _loss_gradient(model, images, labels, training):
    def loss(logits):
        return cross_entropy(logits, labels)

    return input_gradient(loss, model, images, training)[2]
