"""Target gradients for PAG: where an image would have to go to become class t.

Made by `make`, called as `targets(images, labels)`, or for some classes of each image
as `targets.of_classes(images, labels, classes)`; only directions matter.
"""

import keras
import numpy as np
import tensorflow as tf

from igam_tf import data
from igam_tf.data import check_count
from igam_tf.training.pag_base import Targets
from igam_tf.training.pag_cache import InSteps, batches, cached
from igam_tf.training.pag_scores import ScoreBased
from igam_tf.training.teachers import check_choice

__all__ = [
    "ClassMean",
    "InSteps",
    "NearestNeighbor",
    "OneImage",
    "ScoreBased",
    "Targets",
    "batches",
    "cached",
    "make",
]

NAMES = ("oi", "cm", "nn", "sbg")
# Streamed images whose sum is taken at once.
_DECODED = 256


def make(
    name: str,
    split: data.Split,
    num_classes: int,
    *,
    per_class: int = 200,
    score_network: keras.Model | None = None,
    sigma: float = 0.25,
    num_draws: int = 1,
    seed: int = 0,
) -> Targets:
    """Targets of a task by their name in the paper.

    Args:
        name: "oi", "cm", "nn" or "sbg".
        split: `igam_tf.data.Split` of training images.
        num_classes: number of classes, each with an image in the split.
        per_class: images a class for "nn".
        score_network: for "sbg", see `igam_tf.training.train_score_network`.
        sigma, num_draws: for "sbg", see `ScoreBased`.
        seed: of the chosen images and of the noise.

    Returns:
        `Targets`: function (images, labels) to targets (batch, classes, height, width,
        channels).

    Raises:
        ValueError: if the name is unknown, a class lacks images or the score network
            does not fit.
    """
    check_choice("targets", name, NAMES)
    if name == "oi":
        return OneImage(split, num_classes, seed=seed)
    if name == "cm":
        return ClassMean(split, num_classes)
    if name == "nn":
        return NearestNeighbor(split, num_classes, per_class=per_class, seed=seed)
    return ScoreBased(
        score_network, num_classes, sigma=sigma, num_draws=num_draws, seed=seed
    )


class _Representatives(Targets):
    """g = r - x for one image r a class."""

    def __init__(self, images):
        super().__init__(len(images))
        self.images = tf.constant(np.asarray(images, np.float32))

    def of_classes(self, images, labels, classes):
        del labels
        return tf.gather(self.images, classes) - images[:, None]

    def __repr__(self):
        return f"{type(self).__name__}()"


class OneImage(_Representatives):
    """OI: r is one fixed image of the class, drawn from the split.

    Args:
        split: `igam_tf.data.Split`.
        num_classes: number of classes.
        seed: of the draw.
    """

    def __init__(self, split: data.Split, num_classes: int, *, seed: int = 0) -> None:
        super().__init__(_drawn(split, num_classes, 1, seed)[:, 0])


class ClassMean(_Representatives):
    """CM: r is the mean of the images of the class.

    Args:
        split: `igam_tf.data.Split`.
        num_classes: number of classes.
    """

    def __init__(self, split: data.Split, num_classes: int) -> None:
        indices = _indices(split, num_classes, 1)
        super().__init__([_mean(split, places) for places in indices])


class NearestNeighbor(Targets):
    """NN: r is the image of the class closest to x among some, but not x itself.

    Images at distance zero are left out. Where a class has no other image among the
    two closest ones, the target is zero and has no effect.

    Args:
        split: `igam_tf.data.Split`.
        num_classes: number of classes.
        per_class: images a class that are searched; fewer where a class has fewer.
        seed: of their choice.
    """

    def __init__(
        self,
        split: data.Split,
        num_classes: int,
        *,
        per_class: int = 200,
        seed: int = 0,
    ) -> None:
        super().__init__(num_classes)
        check_count("per_class", per_class, at_least=2)
        images = _drawn(split, num_classes, per_class, seed)
        self.images = tf.constant(images)
        self.flat = tf.constant(images.reshape(*images.shape[:2], -1))
        self.squares = tf.reduce_sum(tf.square(self.flat), axis=-1)

    def of_classes(
        self, images: tf.Tensor, labels: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """See `Targets`. Distances are taken to the images of all classes."""
        del labels
        flat = tf.reshape(images, [tf.shape(images)[0], self.flat.shape[-1]])
        # |r - x|^2 less |x|^2. It is rounded, so the two best are compared exactly.
        near = self.squares - 2.0 * tf.einsum("bd,cmd->bcm", flat, self.flat)
        near = tf.gather(near, classes, axis=1, batch_dims=1)
        _, best = tf.math.top_k(-near, k=2)
        own = tf.broadcast_to(classes[..., None], tf.shape(best))
        best = tf.stack([own, best], axis=-1)
        steps = tf.gather_nd(self.images, best) - images[:, None, None]
        squares = tf.reduce_sum(tf.square(steps), axis=[3, 4, 5])
        squares = tf.where(squares == 0.0, squares.dtype.max, squares)
        chosen = tf.argmin(squares, axis=2, output_type=tf.int32)
        return tf.gather(steps, chosen, axis=2, batch_dims=2)

    def __repr__(self) -> str:
        return f"NearestNeighbor(per_class={self.images.shape[1]})"


def _drawn(split, num_classes, per_class, seed):
    """Images (classes, at most per_class, ...) drawn from each class, float32."""
    indices = _indices(split, num_classes, min(per_class, 2))
    generator = np.random.default_rng(seed)
    size = min(per_class, *(len(i) for i in indices))
    chosen = [generator.choice(i, size, replace=False) for i in indices]
    return _floats(split.images[np.array(chosen)])


def _mean(split, places):
    """Mean of some images; streamed ones are not held all at once."""
    if not split.is_streamed:
        return _floats(split.images[places]).mean(axis=0)
    total = np.zeros(split.images.shape[1:], np.float64)
    for start in range(0, len(places), _DECODED):
        images = split.images[places[start : start + _DECODED]]
        total += images.sum(axis=0, dtype=np.float64)
    return (total / (255.0 * len(places))).astype(np.float32)


def _indices(split, num_classes, at_least):
    """Places of each class' images in the split."""
    labels = np.asarray(split.labels)
    indices = [np.flatnonzero(labels == t) for t in range(num_classes)]
    for label, found in enumerate(indices):
        if len(found) < at_least:
            raise ValueError(
                f"class {label} has {len(found)} images in the split; target gradients "
                f"need {at_least} or more of each class: use more training images."
            )
    return indices


def _floats(images):
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255.0)
    return images.astype(np.float32)
