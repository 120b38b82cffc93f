"""Label smoothing, mixup and cutmix: batches whose labels are shares of classes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import tensorflow as tf

from igam_tf import streams
from igam_tf.attacks.attack import GraphAttack
from igam_tf.attacks.restarts import Restarts


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoftLabels:
    """Smooths the labels of a batch, and mixes its images with one another.

        x = share * x_i + (1 - share) * x_j          (mixup, Zhang et al. 2018)
        x = x_i, with a box of x_j                   (cutmix, Yun et al. 2019)
        y = share * y_i + (1 - share) * y_j,   share ~ Beta(alpha, alpha)

    j goes through the batch from its end, and all of it has one share, as in the recipe
    of GradNorm (the package timm). Of cutmix, 1 - share is the part of the image that
    the box covers; it lies around any pixel, and what is outside of the image is cut
    off. y_i has 1 - smoothing at the class, and smoothing / classes everywhere.

    The draws depend on the seed of the step alone, and on nothing else: a training that
    goes on draws them again. Every replica has its own.

    Args:
        smoothing: part of each label that is shared out among all classes.
        mixup: alpha of the shares of mixup; 0 for none. GradNorm: 0.8.
        cutmix: alpha of those of cutmix; 0 for none. GradNorm: 1. With both, each
            batch draws one of them, as likely as the other.

    Raises:
        ValueError: if a number is out of its range.
    """

    smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing < 1:
            raise ValueError(
                f"smoothing={self.smoothing!r}: expected a fraction below 1, such as "
                "0.1."
            )
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if not 0 <= alpha < math.inf:
                raise ValueError(
                    f"{name}={alpha!r}: expected the alpha of a Beta distribution, "
                    "such as 1, or 0 for none."
                )

    @property
    def mixes(self) -> bool:
        """Whether images are mixed, too."""
        return bool(self.mixup or self.cutmix)

    def check_attack(self, attack: GraphAttack) -> None:
        """Raises ValueError unless an attack knows what to do with soft labels."""
        if attack.loss != "cross_entropy" or isinstance(attack, Restarts):
            raise ValueError(
                f"soft labels with {attack}: expected one run of an attack on the "
                "cross entropy, whose loss alone is one of soft labels; pass "
                "loss='cross_entropy' and no restarts, or hard labels."
            )

    def check_method(self, method: str, learns_labels: bool) -> None:
        """Raises ValueError if labels are smoothed of a method that looks at none.

        Mixtures are of images, too, and so are for every method.

        Args:
            method: its name, for the message.
            learns_labels: whether a term of its loss has the labels of the images.
        """
        if self.smoothing and not learns_labels:
            raise ValueError(
                f"smoothing={self.smoothing:g} with {method}: expected 0, because no "
                "term of its loss has the labels of the images: it learns from its "
                "teacher. mixup and cutmix do have an effect, on the images."
            )

    def __call__(
        self, images: Any, labels: tf.Tensor, classes: int, seed: tf.Tensor
    ) -> tuple[Any, tf.Tensor]:
        """The mixed batch.

        Args:
            images: float tensor (batch, height, width, channels).
            labels: int32 tensor (batch,).
            classes: number of classes.
            seed: int32 tensor [2] of the step.

        Returns:
            Tuple (images, labels): tensors like `images` and (batch, classes).

        Raises:
            ValueError: if images are to be mixed that come in pairs.
        """
        hot = tf.one_hot(labels, classes)
        soft = (1.0 - self.smoothing) * hot + self.smoothing / classes
        if not self.mixes:
            return images, soft
        check_alone(images, "mixup and cutmix")
        mixed, share = self._mixed(images, seed)
        images = tf.ensure_shape(mixed, images.shape)
        return images, share * soft + (1.0 - share) * soft[::-1]

    def _mixed(self, images, seed):
        draws = streams.seed_of(seed, streams.Purpose.MIXED_SHARE)
        box_seed = streams.seed_of(seed, streams.Purpose.MIXED_BOX)
        if not self.cutmix:
            return mixup(images, beta(self.mixup, draws))
        if not self.mixup:
            return cutmix(images, beta(self.cutmix, draws), box_seed)
        kind = streams.seed_of(seed, streams.Purpose.MIXED_KIND)
        return tf.cond(
            tf.random.stateless_uniform([], kind, alg="philox") < 0.5,
            lambda: cutmix(images, beta(self.cutmix, draws), box_seed),
            lambda: mixup(images, beta(self.mixup, draws)),
        )


def check_alone(images: Any, what: str) -> None:
    """Raises ValueError if images come in a pair with targets that fit them alone."""
    if isinstance(images, (tuple, list)):
        raise ValueError(
            f"{what} of images that come in a pair with targets or partners of their "
            "own, which would not fit what is made of the images: leave one of the two "
            "out; PAG takes targets that are a function of the image."
        )


def beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """A number drawn from Beta(alpha, alpha), by two gamma numbers."""
    first, second = tf.unstack(tf.random.stateless_gamma([2], seed, alpha))
    total = first + second
    # A tiny alpha lets both underflow.
    return tf.where(total > 0, first / tf.where(total > 0, total, 1.0), 0.5)


def mixup(images: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Each image, and the one at its place from the end of the batch.

    Args:
        images: float tensor (batch, height, width, channels).
        share: scalar in [0, 1], the part of the first.

    Returns:
        Tuple (images, share).
    """
    part = tf.cast(share, images.dtype)
    return part * images + (1.0 - part) * images[::-1], share


def cutmix(
    images: tf.Tensor, share: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Each image, with a box of the one at its place from the end of the batch.

    Args:
        images: float tensor (batch, height, width, channels).
        share: scalar in [0, 1]; the box has sqrt(1 - share) of height and width.
        seed: int32 tensor [2] of the box's centre.

    Returns:
        Tuple (images, share): with what the box really leaves of the first image.
    """
    height, width = tf.shape(images)[1], tf.shape(images)[2]
    centre = tf.random.stateless_uniform([2], seed, alg="philox")
    rows = _inside(height, centre[0], share)
    columns = _inside(width, centre[1], share)
    box = tf.logical_and(rows[:, None], columns[None, :])
    left = 1.0 - tf.reduce_mean(tf.cast(box, tf.float32))
    return tf.where(box[None, :, :, None], images[::-1], images), left


def _inside(length, centre, share):
    """Which of the pixels of a side are inside of the box: bool (length,)."""
    size = tf.cast(tf.cast(length, tf.float32) * tf.sqrt(1.0 - share), tf.int32)
    middle = tf.cast(tf.cast(length, tf.float32) * centre, tf.int32)
    start = middle - size // 2
    pixels = tf.range(length)
    return tf.logical_and(pixels >= start, pixels < start + size)
