"""The theory of the paper's section 6: alignment, linearised and measured robustness.

With Psi the difference of the top two logits and g its gradient w.r.t. the image x, a
model that is linear around x keeps its prediction up to the distance

    rho(x) = Psi(x) / ||g||,        and        alpha(x) = |<x, g>| / ||g||.

Since Psi(x) = <x, g> + beta(x), rho(x) <= alpha(x) + |beta(x)| / ||g||, which is Eq. 18
with C = |beta(x)| (Theorem 2 of Etmann et al. 2019).

Two logits only, as in the paper: with more classes rho is an upper estimate of Etmann's
minimum over all other classes, and the bound holds for that minimum as well.

A network that divides each image by its contrast (`standardize`, `zero_mean_unit_norm`:
the Wide-ResNets of MadryLab and of the paper) gives the same logits at c x for any
c > 0, so that <x, g> = 0: its alignment is 0 whatever its robustness, and Eq. 18 says
no more than rho(x) = |beta(x)| / ||g||.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks.engine.compilation import compiled, compiled_logits
from igam_tf.evaluation.distance import (
    checked_images,
    in_batches,
    measured_robustness,
)
from igam_tf.gradients import input_gradient_and_logits

# The order of the norm that measures g: the dual of the norm of the perturbation.
_DUAL = {"l2": 2, "linf": 1}


def alignment(
    model: keras.Model,
    images: np.ndarray,
    *,
    norm: str = "l2",
    batch_size: int = 128,
) -> np.ndarray:
    """How far an image points along the gradient: alpha(x) = |<x, g>| / ||g||.

    Args:
        model: Keras model from images to logits.
        images: float32 array (n, height, width, channels) in [0, 1].
        norm: "l2", the paper's; "linf" measures g in the dual norm, L1.
        batch_size: images at once.

    Returns:
        float64 array (n,): a distance between [0, 1] images; 0 where g vanishes.

    Raises:
        ValueError: if images or model do not fit, or g is not finite.

    Source: Eq. 18 of the paper.
    """
    _, product, length = _linear_terms(model, images, norm, batch_size)
    nothing = np.zeros_like(length)
    return np.divide(np.abs(product), length, out=nothing, where=length > 0)


def linearized_robustness(
    model: keras.Model,
    images: np.ndarray,
    *,
    norm: str = "l2",
    batch_size: int = 128,
) -> np.ndarray:
    """Distance at which the top two logits meet, were they linear: Psi(x) / ||g||.

    Args:
        model: Keras model from images to logits (batch, classes).
        images: float32 array (n, height, width, channels) in [0, 1].
        norm: norm of the perturbation, "l2" or "linf"; g is measured in its dual.
        batch_size: images at once.

    Returns:
        float64 array (n,); infinite where g vanishes.

    Raises:
        ValueError: if the images do not fit the model, or the norm is unknown.

    Source: rho of Eq. 18; Etmann et al. 2019.
    """
    margin, _, length = _linear_terms(model, images, norm, batch_size)
    return _over(margin, length)


def alignment_bound(
    model: keras.Model,
    images: np.ndarray,
    *,
    constant: float | None = None,
    norm: str = "l2",
    batch_size: int = 128,
) -> np.ndarray:
    """The right side of Eq. 18, alpha(x) + C / ||g||: never below rho(x).

    Args:
        model, images, norm, batch_size: as `linearized_robustness`.
        constant: C, a number of 0 or more. None for each image's own,
            |Psi(x) - <x, g>|, with which the bound always holds; with the largest of
            those it holds for all images.

    Returns:
        float64 array (n,); infinite where g vanishes.

    Raises:
        ValueError: as `linearized_robustness`, or if the constant is negative.
    """
    if constant is not None and not constant >= 0:
        raise ValueError(f"constant is {constant}: expected a number of 0 or more.")
    margin, product, length = _linear_terms(model, images, norm, batch_size)
    own = np.abs(margin - product)
    return _over(np.abs(product) + (own if constant is None else constant), length)


def measure_alignment(
    model: keras.Model,
    images: np.ndarray,
    *,
    norm: str = "l2",
    batch_size: int = 128,
    **search: Any,
) -> dict[str, np.ndarray]:
    """All of section 6 at once: what Eq. 18 says of a model, and what PGD finds.

    Args:
        model, images, norm, batch_size: as `linearized_robustness`.
        **search: further arguments of `measured_robustness`.

    Returns:
        Dict of arrays (n,): "alignment", "linearized", "bound", and "measured", the
        distance at which PGD changes the model's prediction, be it right or wrong.

    Raises:
        ValueError: as the functions of these names.
    """
    shared: dict[str, Any] = {"norm": norm, "batch_size": batch_size}
    images = checked_images(model, images, norm, batch_size)
    predictions = in_batches(
        lambda _, batch: compiled_logits(model, batch).argmax(axis=1),
        (images,),
        batch_size,
    )
    return {
        "alignment": alignment(model, images, **shared),
        "linearized": linearized_robustness(model, images, **shared),
        "bound": alignment_bound(model, images, **shared),
        "measured": measured_robustness(model, images, predictions, **shared, **search),
    }


def correlation(a: np.ndarray, b: np.ndarray) -> dict[str, float | int]:
    """Pearson's and Spearman's correlation of two measures of the same images.

    Args:
        a, b: arrays (n,); pairs with a value that is not finite are left out.

    Returns:
        Dict with "pearson", "spearman" (NaN where a measure is constant or fewer than
        two pairs are left) and "num_images", the pairs.

    Raises:
        ValueError: if the two are not of one length.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"shapes {a.shape} and {b.shape}: expected two arrays (n,).")
    finite = np.isfinite(a) & np.isfinite(b)
    a, b = a[finite], b[finite]
    return {
        "pearson": _pearson(a, b),
        "spearman": _pearson(_ranks(a), _ranks(b)),
        "num_images": int(finite.sum()),
    }


def _linear_terms(model, images, norm, batch_size):
    """Psi(x), <x, g> and the dual norm of g: three float64 arrays (n,)."""
    images = checked_images(model, images, norm, batch_size)
    gradients = compiled(model, "top two logits", _top_two)

    def call(_, images):
        g, margin = (tensor.numpy() for tensor in gradients(tf.constant(images)))
        # In float64, where the squares of tiny gradients do not vanish.
        g = g.reshape(len(g), -1).astype(np.float64)
        if not np.isfinite(g).all():
            raise ValueError(
                "the gradient of the top two logits is not finite: expected a model "
                "that is differentiable at its images."
            )
        product = np.sum(images.reshape(g.shape) * g, axis=1)
        length = np.linalg.norm(g, ord=_DUAL[norm], axis=1)
        return np.stack([margin.astype(np.float64), product, length], axis=1)

    return in_batches(call, (images,), batch_size).T


def _top_two(model, images):
    """g, and the difference itself."""
    g, logits = input_gradient_and_logits(model, images, None, of=_lead)
    return g, _lead(logits, None)


def _lead(logits, _):
    best = tf.math.top_k(logits, 2).values
    return best[:, 0] - best[:, 1]


def _over(numerator, length):
    """Distance; infinite where the gradient vanishes, since nothing changes there."""
    return np.divide(
        numerator, length, out=np.full_like(length, np.inf), where=length > 0
    )


def _pearson(a, b):
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def _ranks(values):
    """Ranks from 1; ties get the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]
