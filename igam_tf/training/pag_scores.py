"""Target gradients from the scores of a class-conditional denoiser."""

import zlib

import keras
import tensorflow as tf

from igam_tf import streams
from igam_tf.data import check_count
from igam_tf.training.pag_base import Targets


class ScoreBased(Targets):
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
        super().__init__(num_classes)
        check_count("num_draws", num_draws)
        if network is None or len(network.inputs) != 3:
            raise ValueError(
                f"score network {network!r}: expected a keras.Model of [noisy images, "
                "classes, sigmas], as igam_tf.training.train_score_network returns."
            )
        if not sigma > 0:
            raise ValueError(f"sigma={sigma}: expected a positive noise level.")
        self.network = network
        self.sigma = sigma
        self.num_draws = num_draws
        self.seed = seed

    def of_classes(
        self, images: tf.Tensor, labels: tf.Tensor, classes: tf.Tensor
    ) -> tf.Tensor:
        """See `Targets`: a pass of the network for each class, and one for none."""
        del labels
        # Noise that belongs to the image: in any batch it has the same target.
        seeds = streams.seeds_of_images(self.seed, images)
        noise = tf.map_fn(
            lambda seed: self._noise(seed, images.shape[1:]),
            seeds,
            fn_output_signature=tf.float32,
        )
        noise = tf.ensure_shape(noise, [None, None, *images.shape[1:]])
        draws = range(self.num_draws)
        return sum(self._scores(images, classes, noise[:, i]) for i in draws)

    def _noise(self, seed, shape):
        """Noise of all draws for one image."""
        seed = streams.seed_of(seed, streams.Purpose.SCORE_NOISE)
        return tf.random.stateless_normal([self.num_draws, *shape], seed, alg="philox")

    def _scores(self, images, classes, noise):
        noisy = images + self.sigma * tf.cast(noise, images.dtype)
        count, asked = tf.shape(images)[0], tf.shape(classes)[1] + 1
        none = tf.fill([count, 1], self.num_classes)
        told = tf.reshape(tf.concat([classes, none], axis=1), [-1])
        sigmas = tf.fill([count * asked], self.sigma)
        denoised = self.network(
            [tf.repeat(noisy, asked, axis=0), told, sigmas], training=False
        )
        denoised = tf.reshape(denoised, [count, asked, *images.shape[1:]])
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
