"""Target gradients for PAG: where an image would have to go to become class t.

Made by `make`, called as `targets(images, labels)`; only directions matter.
"""

import zlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from igam_tf import data, streams
from igam_tf.data import check_count
from igam_tf.training.pag_cache import batches, cached
from igam_tf.training.teachers import check_choice

__all__ = [
    "ClassMean",
    "NearestNeighbor",
    "OneImage",
    "ScoreBased",
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
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
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
        Function (images, labels) to targets (batch, classes, height, width, channels).

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


class _Representatives:
    """g = r - x for one image r a class."""

    def __init__(self, images):
        self.images = tf.constant(np.asarray(images, np.float32))

    def __call__(self, images, labels):
        del labels
        return self.images - images[:, None]

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


class NearestNeighbor:
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
        check_count("per_class", per_class, at_least=2)
        images = _drawn(split, num_classes, per_class, seed)
        self.images = tf.constant(images)
        self.flat = tf.constant(images.reshape(*images.shape[:2], -1))
        self.squares = tf.reduce_sum(tf.square(self.flat), axis=-1)

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        del labels
        flat = tf.reshape(images, [tf.shape(images)[0], self.flat.shape[-1]])
        # |r - x|^2 less |x|^2. It is rounded, so the two best are compared exactly.
        near = self.squares - 2.0 * tf.einsum("bd,cmd->bcm", flat, self.flat)
        _, best = tf.math.top_k(-near, k=2)
        classes = tf.range(self.flat.shape[0])[None, :, None]
        best = tf.stack([tf.broadcast_to(classes, tf.shape(best)), best], axis=-1)
        steps = tf.gather_nd(self.images, best) - images[:, None, None]
        squares = tf.reduce_sum(tf.square(steps), axis=[3, 4, 5])
        squares = tf.where(squares == 0.0, squares.dtype.max, squares)
        chosen = tf.argmin(squares, axis=2, output_type=tf.int32)
        return tf.gather(steps, chosen, axis=2, batch_dims=2)

    def __repr__(self) -> str:
        return f"NearestNeighbor(per_class={self.images.shape[1]})"


class ScoreBased:
    """SBG: conditional minus unconditional score, grad log p(t | x_s) by Bayes' rule.

        g = mean over draws of (denoised(x_s, t) - denoised(x_s, none)) / sigma^2,
        x_s = x + sigma * noise

    Too high a sigma gives directions that have nothing to do with the image, at too low
    a one both scores agree.

    Args:
        network: denoiser as `models.score_network`. Under a strategy with several
            devices make or load it within the strategy's scope, or cache the targets.
        num_classes: number of classes.
        sigma: noise level in units of [0, 1] pixels.
        num_draws: draws of the noise that are averaged.
        seed: of the noise, with the pixels of the image.

    Raises:
        ValueError: if the network does not take images, classes and noise levels.
    """

    def __init__(
        self,
        network: keras.Model | None,
        num_classes: int,
        *,
        sigma: float = 0.25,
        num_draws: int = 1,
        seed: int = 0,
    ) -> None:
        check_count("num_draws", num_draws)
        if network is None or len(network.inputs) != 3:
            raise ValueError(
                f"score network {network!r}: expected a keras.Model of [noisy images, "
                "classes, sigmas], as igam_tf.training.train_score_network returns."
            )
        if not sigma > 0:
            raise ValueError(f"sigma={sigma}: expected a positive noise level.")
        self.network = network
        self.num_classes = num_classes
        self.sigma = sigma
        self.num_draws = num_draws
        self.seed = seed

    def __call__(self, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        del labels
        # Noise that belongs to the image: in any batch it has the same target.
        seeds = streams.seeds_of_images(self.seed, images)
        noise = tf.map_fn(
            lambda seed: self._noise(seed, images.shape[1:]),
            seeds,
            fn_output_signature=tf.float32,
        )
        noise = tf.ensure_shape(noise, [None, None, *images.shape[1:]])
        return sum(self._scores(images, noise[:, i]) for i in range(self.num_draws))

    def _noise(self, seed, shape):
        """Noise of all draws for one image."""
        seed = streams.seed_of(seed, streams.Purpose.SCORE_NOISE)
        return tf.random.stateless_normal([self.num_draws, *shape], seed, alg="philox")

    def _scores(self, images, noise):
        noisy = images + self.sigma * tf.cast(noise, images.dtype)
        count, known = tf.shape(images)[0], self.num_classes + 1
        classes = tf.tile(tf.range(known), [count])
        sigmas = tf.fill([count * known], self.sigma)
        denoised = self.network(
            [tf.repeat(noisy, known, axis=0), classes, sigmas], training=False
        )
        denoised = tf.reshape(denoised, [count, known, *images.shape[1:]])
        gap = denoised[:, :-1] - denoised[:, -1:]
        return gap / (self.num_draws * self.sigma**2)

    def __repr__(self) -> str:
        weights = 0
        for array in self.network.get_weights():
            weights = zlib.crc32(array.tobytes(), weights)
        return (
            f"ScoreBased(sigma={self.sigma}, num_draws={self.num_draws}, "
            f"seed={self.seed}, weights={weights:08x})"
        )


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
