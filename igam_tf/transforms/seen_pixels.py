"""What an input transform lets a teacher see of the target images, in words."""

import keras
import numpy as np
import tensorflow as tf

from igam_tf import transforms

#: Below this share of the pixels a transform is worth a warning.
FEW = 0.5


def seen_share(transform: keras.Model) -> float:
    """Share of the pixels of an image that reach the teacher.

    Args:
        transform: what `transforms.input_transform` returns: an affine map.

    Returns:
        Number in [0, 1]: pixels whose gradient is not zero. A crop loses the border,
        and a bilinear resize to less than half of the size the rows between.
    """
    shape = transform.input_shape[1:]
    images = tf.constant(np.random.default_rng(0).random((1, *shape)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(images)
        total = tf.reduce_sum(tf.cast(transform(images, training=False), tf.float32))
    gradient = tape.gradient(total, images)
    return float(np.mean(np.any(gradient.numpy() != 0, axis=-1)))


def explain(name: str, transform: keras.Model) -> str:
    """One line: which transform was chosen, between which shapes, and what is seen.

    Args:
        name: its name, such as "auto".
        transform: what `transforms.input_transform` made of it.
    """
    before, after = transform.input_shape[1:], transform.output_shape[1:]
    chosen = transforms.chosen(name, before, after)
    text = chosen if chosen == name else f"{name} = {chosen}"
    share = seen_share(transform)
    seen = f"{100 * share:.0f} % of the pixels" if share < 1 else "all pixels"
    return f"{text}, images {before} to {after}; the teacher sees {seen}"


def warning(name: str, transform: keras.Model) -> str | None:
    """A sentence where the transform drops more than half of the pixels, else None."""
    share = seen_share(transform)
    if share >= FEW:
        return None
    return (
        f"input transform {name!r} drops {100 * (1 - share):.0f} % of the pixels of "
        f"the target images {transform.input_shape[1:]} (a crop loses the border, a "
        "bilinear resize to less than half of the size the rows between). "
        "'smooth_resize' keeps them all."
    )
