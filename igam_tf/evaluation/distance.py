"""The smallest distance at which an attack succeeds, image by image."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks import checks
from igam_tf.attacks.classifier import num_classes
from igam_tf.attacks.engine.compilation import compiled, compiled_logits
from igam_tf.attacks.geometry import image_seeds, restart_seed
from igam_tf.attacks.gradient_attack import pgd
from igam_tf.data import check_images
from igam_tf.evaluation.batches import by_batch

# Octaves below the largest distance in which the search begins.
_OCTAVES = 12
# The numbers of PGD that grow with eps.
_SIZES = ("eps", "step_size", "start_size")


def measured_robustness(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    norm: str = "l2",
    max_eps: float | None = None,
    num_steps: int = 20,
    num_bisections: int = 12,
    loss: str = "cw_margin",
    batch_size: int = 128,
    seed: int = 0,
) -> np.ndarray:
    """Smallest distance at which PGD finds an adversarial image, image by image.

    Bisection of log eps over 12 octaves below `max_eps`, each image with an eps of its
    own. What is returned is the distance of an adversarial image that was found: an
    upper bound of the true distance, and no better than PGD.

    Args:
        model: Keras model from images to logits.
        images: float32 array (n, height, width, channels) in [0, 1].
        labels: integers (n,): the classes that are attacked. The model's own
            predictions measure when it changes its mind (section 6).
        norm: "l2" or "linf".
        max_eps: largest eps tried; None for the largest distance between two images,
            which is 1 in Linf and the square root of the number of values in L2.
        num_steps: steps of each PGD, of length 2.5 eps / num_steps.
        num_bisections: PGD runs; after 12 the interval is 0.2 % wide.
        loss: "cw_margin" or "cross_entropy", whose gradient vanishes on very
            confident models.
        batch_size: images at once.
        seed: integer, of random starts; each run has another one.

    Returns:
        float64 array (n,): 0 where the image is misclassified as it is, infinite where
        nothing was found.

    Raises:
        ValueError: if the arguments do not fit.
    """
    images, labels = checks.images_and_labels(images, labels)
    checks.whole_number("num_bisections", num_bisections, 1)
    checks.whole_number("num_steps", num_steps, 1)
    checked_images(model, images, norm, batch_size)
    if max_eps is None:
        max_eps = 1.0 if norm == "linf" else float(np.sqrt(images[0].size))
    checks.radius("max_eps", max_eps, norm)
    if not max_eps:
        raise ValueError("max_eps is 0: expected a distance above it, or None.")
    attack = pgd(
        eps=max_eps,
        step_size=max_eps * min(1.0, 2.5 / num_steps),
        num_steps=num_steps,
        norm=norm,
        loss=loss,
        seed=seed,
    )
    return in_batches(
        lambda first, images, labels: _bisect(
            model, attack, images, labels, first, num_bisections
        ),
        (images, labels),
        batch_size,
    )


def checked_images(
    model: keras.Model, images: np.ndarray, norm: str, batch_size: int
) -> np.ndarray:
    """The images as an array, if all arguments are what they must be."""
    images = np.asarray(images)
    check_images(images)
    checks.one_of("norm", norm, checks.NORMS)
    checks.whole_number("batch_size", batch_size, 1)
    num_classes(model, images)
    return images


def in_batches(
    call: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], batch_size: int
) -> np.ndarray:
    """`by_batch` with batches of one size, the last one filled up."""
    num_images = len(arrays[0])
    batch_size = min(batch_size, num_images)
    starts = range(0, num_images, batch_size)
    sizes = [min(batch_size, num_images - start) for start in starts]
    return by_batch(call, arrays, sizes, padded_size=batch_size)


def _bisect(model, attack, images, labels, first_index, num_bisections):
    attacked = compiled(
        model,
        (type(attack), attack.structure, "an eps an image"),
        lambda model, *tensors: attack.run(model, *tensors, training=False),
    )
    numbers, whole_eps = attack.numbers, attack.numbers["eps"]
    low = np.full(len(images), whole_eps * 2.0**-_OCTAVES)
    high = np.full(len(images), np.inf)
    for run in range(num_bisections):
        # The geometric mean of what failed and what succeeded.
        eps = np.sqrt(low * np.minimum(high, whole_eps))
        scale = np.float32(eps / whole_eps).reshape(-1, 1, 1, 1)
        # A radius of shape (n, 1, 1, 1) in place of a number.
        sizes = {name: numbers[name] * scale for name in _SIZES}
        seeds = image_seeds(restart_seed(attack.seed, run), first_index, len(images))
        arguments = (images, labels, seeds, {**numbers, **sizes})
        found = attacked(*tf.nest.map_structure(tf.constant, arguments)).numpy()
        wins = compiled_logits(model, found).argmax(axis=1) != labels
        distance = np.where(wins, _distances(found - images, attack.norm), np.inf)
        high = np.minimum(high, distance)
        low = np.where(wins, low, np.maximum(low, eps))
        # A win from far below what failed earlier.
        low = np.minimum(low, high)
    wrong = compiled_logits(model, images).argmax(axis=1) != labels
    return np.where(wrong, 0.0, high)


def _distances(differences, norm):
    flat = np.abs(differences.reshape(len(differences), -1).astype(np.float64))
    return flat.max(axis=1) if norm == "linf" else np.linalg.norm(flat, axis=1)
