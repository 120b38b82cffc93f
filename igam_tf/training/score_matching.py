"""Training of the denoiser whose scores are targets of PAG."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf import data, models, streams

# Images that the standard deviation of the pixels is taken of.
_DEVIATION_IMAGES = 1000
_PURPOSES = (
    streams.Purpose.DENOISER_LEVEL,
    streams.Purpose.DENOISER_NOISE,
    streams.Purpose.DENOISER_LABEL,
)


def train_score_network(
    split: data.Split,
    *,
    num_classes: int,
    network: keras.Model | None = None,
    sigma: float | tuple[float, float] = (0.05, 1.0),
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    label_dropout: float = 0.1,
    augmentation: data.Augmentation | None = None,
    seed: int = 0,
    **fit_kwargs: Any,
) -> keras.Model:
    """Trains a class-conditional denoiser on the images of a task.

    Minimises |denoised - image|^2 / c(sigma)^2 over images, noise and noise levels,
    where c is the scale of the network's output (Karras et al. 2022, Table 1); a share
    of the labels is replaced by "no class" (Ho & Salimans 2022), so that the same
    network has the unconditional score. Adam with a cosine to zero; the weights are
    averaged over the steps.

    Args:
        split: `igam_tf.data.Split` of training images.
        num_classes: number of classes.
        network: as `models.score_network` makes it, trained in place; None for one of
            the default size.
        sigma: one noise level, in units of [0, 1] pixels, or (lowest, highest) of a
            log-uniform range.
        epochs, batch_size, learning_rate: of the training.
        label_dropout: share of images that are shown without their class.
        augmentation: `igam_tf.data.Augmentation`, or None. Mirroring suits PAG;
            padding would teach the network black borders.
        seed: of shuffling, noise and dropout.
        **fit_kwargs: of `fit`: verbose, callbacks.

    Returns:
        The network.

    Raises:
        ValueError: if a noise level is not positive or the dropout is no share.
    """
    bounds: Any = (sigma, sigma) if np.isscalar(sigma) else sigma
    low, high = bounds
    _check(low, high, label_dropout)
    network = network or models.score_network(
        num_classes=num_classes,
        image_shape=split.images.shape[1:],
        data_deviation=pixel_deviation(split),
    )
    steps = data.steps_per_epoch(split, batch_size)
    network.compile(_optimizer(learning_rate, epochs * steps), loss="mse")
    batches = data.training_batches(
        split, batch_size, augmentation=augmentation or data.Augmentation(), seed=seed
    )
    deviation = pixel_deviation(split)
    corrupt = _corruption(low, high, label_dropout, num_classes, deviation, seed)
    noisy = batches.enumerate().map(corrupt, num_parallel_calls=tf.data.AUTOTUNE)
    network.fit(
        noisy, epochs=epochs, steps_per_epoch=steps, shuffle=False, **fit_kwargs
    )
    return network


def pixel_deviation(split: data.Split) -> float:
    """Standard deviation of the pixels, as a fraction of their range."""
    images = split.images[:_DEVIATION_IMAGES]
    return float(images.std() / (255.0 if images.dtype == np.uint8 else 1.0))


def _corruption(low, high, label_dropout, num_classes, deviation, seed):
    """Function of (step, (images, labels)) to (inputs, targets, weights)."""

    def corrupt(step, batch):
        images, labels = batch
        seeds = [seed, tf.cast(step, tf.int32)]
        keys = [streams.seed_of(seeds, purpose) for purpose in _PURPOSES]
        count = tf.shape(images)[0]
        position = tf.random.stateless_uniform([count], keys[0])
        sigmas = low * (high / low) ** position
        noise = tf.random.stateless_normal(tf.shape(images), keys[1])
        dropped = tf.random.stateless_uniform([count], keys[2]) < label_dropout
        classes = tf.where(dropped, num_classes, labels)
        noisy = images + sigmas[:, None, None, None] * noise
        weights = (sigmas**2 + deviation**2) / (sigmas * deviation) ** 2
        # One weight an image, for the loss of each pixel.
        return (noisy, classes, sigmas), images, weights[:, None, None]

    return corrupt


def _optimizer(learning_rate, total_steps):
    """Adam; the weights are averaged over a twentieth of the steps, 1000 at most."""
    return keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(learning_rate, total_steps),
        global_clipnorm=1.0,
        use_ema=True,
        ema_momentum=1.0 - 1.0 / min(1000.0, max(2.0, 0.05 * total_steps)),
    )


def _check(low, high, label_dropout):
    if not 0 < low <= high:
        raise ValueError(
            f"sigma={(low, high)}: expected positive noise levels, the lower one "
            "first, in units of [0, 1] pixels."
        )
    if not 0 < label_dropout < 1:
        raise ValueError(
            f"label_dropout={label_dropout}: expected a share between 0 and 1; without "
            "dropped labels there is no unconditional score."
        )
