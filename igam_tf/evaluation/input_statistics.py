"""How large, how curved and how edge-like the input gradients of a classifier are.

g is the gradient of an image's own cross entropy, per unit of a [0, 1] pixel, and H the
second derivative. The definitions are those of Rodriguez-Munoz, Wang, Torralba (ECCV
2024) and of its released notebooks, where they could be read:

- the curvature is ||H|| / (||g||_2 + 1e-6), with the spectral norm of H from 20 power
  iterations (Srinivas et al. 2022);
- the correlation is Pearson's over the pixels of one image, of the logarithms of
  sum_channels |g| and of the edge energy, neither below 1e-3;
- the error of the linear model is |l(x + d) - l(x) - <g, d>| at one d uniform in the
  Linf ball (Qin et al. 2019 maximise over d).
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from igam_tf import edges, losses, pixels
from igam_tf.attacks import checks
from igam_tf.attacks.engine.compilation import compiled
from igam_tf.attacks.geometry import image_seeds, uniform_in_ball
from igam_tf.data import check_images, check_labels
from igam_tf.evaluation.batches import padded
from igam_tf.evaluation.distance import checked_images
from igam_tf.evaluation.statistic_names import BY_OUTCOME, STATISTICS, check
from igam_tf.gradients import input_gradient, input_gradient_and_logits

_ITERATIONS = 20
_SMALLEST_NORM = 1e-6
#: Below it neither gradients nor edges have a logarithm that means something.
_SMALLEST_ENERGY = 1e-3
# Images that tell the shape, and what the model makes of it.
_LOOKED_AT = 16
#: Columns of `_first_order`, `_second_order` and `_along_edges`.
_FIRST = ("gradient_l1", "gradient_l2", "linearity_error")
_SECOND = ("hessian_norm", "curvature")
_EDGES = ("edge_correlation",)


def gradient_statistics(
    model: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    statistics: Sequence[str] = ("gradient_l1", "curvature"),
    *,
    eps: float = 8 / 255,
    is_robust: np.ndarray | None = None,
    batch_size: int = 128,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Statistics of a classifier's input gradients, over images.

    Args:
        model: Keras model from images to logits, called in inference mode.
        images: float32 array (n, height, width, channels) in [0, 1], or uint8 in
            0..255; or `igam_tf.data.streamed.StreamedImages`. No more than a batch of
            them is decoded, or made floats, at once.
        labels: integer array (n,).
        statistics: names of `igam_tf.evaluation.statistic_names.STATISTICS`.
        eps: Linf radius of "linearity_error".
        is_robust: bool array (n,), images that withstand an attack, for
            "gradient_l1_robust" and "gradient_l1_vulnerable" (all others).
        batch_size: images at once.
        seed: of the random point of "linearity_error".

    Returns:
        Dict from name to {"mean", "sd", "num_images"}, ready for JSON; the first two
        are None where no image counts.

    Raises:
        ValueError: if a name is unknown, images and labels do not fit, or `is_robust`
            is missing where it is needed.
    """
    labels = _checked(model, images, labels, statistics, is_robust, batch_size)
    checks.radius("eps", eps, "linf")
    wanted = {"gradient_l1" if name in BY_OUTCOME else name for name in statistics}
    functions = [
        (names, compiled(model, function.__name__, function))
        for names, function in _FUNCTIONS
        if not wanted.isdisjoint(names)
    ]
    rows: dict[str, list[np.ndarray]] = {}
    size = min(batch_size, len(images))
    for start in range(0, len(images), size):
        batch = pixels.as_float(images[start : start + size])
        check_images(batch)
        seeds = image_seeds(seed, start, len(batch))
        # One size for all, so that nothing is traced anew for the last batch.
        arrays = padded([batch, labels[start : start + size], seeds], size)
        tensors = [*map(tf.constant, arrays), tf.constant(eps, tf.float32)]
        for names, function in functions:
            columns = function(*tensors).numpy()[: len(batch)].T
            for name, column in zip(names, columns, strict=True):
                rows.setdefault(name, []).append(column)
    values = {name: np.concatenate(columns) for name, columns in rows.items()}
    found = {}
    for name in statistics:
        if name in BY_OUTCOME:
            chosen = np.asarray(is_robust, bool) == BY_OUTCOME[name]
            found[name] = _summary(values["gradient_l1"][chosen])
        else:
            found[name] = _summary(values[name])
    return found


def _checked(model, images, labels, statistics, is_robust, batch_size):
    for name in statistics:
        check(name)
        if name in BY_OUTCOME and is_robust is None:
            raise ValueError(
                f"{name} ({STATISTICS[name]}) without is_robust: expected the images "
                "that withstand an attack; evaluate one, too."
            )
    checked_images(model, pixels.as_float(images[:_LOOKED_AT]), "linf", batch_size)
    if "edge_correlation" in statistics:
        edges.check_size(images.shape[1:], "edge_correlation")
    labels = np.asarray(labels, np.int32)
    check_labels(labels, model.output_shape[-1])
    for what, array in (("labels", labels), ("is_robust", is_robust)):
        if array is not None and len(array) != len(images):
            raise ValueError(
                f"{len(images)} images and {len(array)} {what}: expected one each."
            )
    return labels


def _summary(values):
    values = values[np.isfinite(values)].astype(np.float64)
    return {
        "mean": float(values.mean()) if len(values) else None,
        "sd": float(values.std()) if len(values) else None,
        "num_images": len(values),
    }


def _first_order(model, images, labels, seeds, eps):
    """(batch, columns of `_FIRST`)."""
    g, logits = input_gradient_and_logits(model, images, labels, of="loss")
    axes = [1, 2, 3]
    away = eps * uniform_in_ball(images, seeds, "linf")
    moved = tf.cast(model(images + away, training=False), logits.dtype)
    rise = losses.cross_entropy(moved, labels) - losses.cross_entropy(logits, labels)
    error = tf.abs(rise - tf.reduce_sum(g * away, axes))
    l2 = tf.sqrt(tf.reduce_sum(tf.square(g), axes))
    return tf.stack([tf.reduce_sum(tf.abs(g), axes), l2, error], axis=1)


def _along_edges(model, images, labels, seeds, eps):
    """(batch, columns of `_EDGES`); NaN where gradient or edges are flat."""
    del seeds, eps
    g = input_gradient(model, images, labels, of="loss")
    energies = tf.reduce_sum(tf.abs(g), axis=-1), edges.edge_energy(images)[..., 0]
    logs = [tf.math.log(tf.maximum(energy, _SMALLEST_ENERGY)) for energy in energies]
    a, b = (log - tf.reduce_mean(log, [1, 2], keepdims=True) for log in logs)
    scale = tf.sqrt(tf.reduce_sum(a * a, [1, 2]) * tf.reduce_sum(b * b, [1, 2]))
    return (tf.reduce_sum(a * b, [1, 2]) / scale)[:, None]


def _second_order(model, images, labels, seeds, eps):
    """(batch, columns of `_SECOND`)."""
    del eps
    shape = tf.concat([[tf.shape(images)[0]], [1, 1, 1]], axis=0)

    def times_hessian(v):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            g = input_gradient(model, images, labels, of="loss")
            along = tf.reduce_sum(g * v)
        product = tape.gradient(along, images, unconnected_gradients="zero")
        return product, g

    def length(v):
        return tf.sqrt(tf.reduce_sum(tf.square(v), axis=[1, 2, 3]))

    def iterate(count, v, size, g):
        unit = tf.math.divide_no_nan(v, tf.reshape(length(v), shape))
        product, g = times_hessian(unit)
        return count + 1, product, length(product), g

    zero = tf.zeros_like(images)
    start = uniform_in_ball(images, seeds, "l2")
    _, _, size, g = tf.while_loop(
        lambda count, *_: count < _ITERATIONS,
        iterate,
        (0, start, tf.zeros_like(zero[:, 0, 0, 0]), zero),
        parallel_iterations=1,
    )
    return tf.stack([size, size / (length(g) + _SMALLEST_NORM)], axis=1)


_FUNCTIONS = (
    (_FIRST, _first_order),
    (_SECOND, _second_order),
    (_EDGES, _along_edges),
)
