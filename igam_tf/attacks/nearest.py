"""The nearest adversarial images: what attacks that minimise a distance return."""

from __future__ import annotations

import typing

import keras
import numpy as np
import tensorflow as tf

from igam_tf.attacks.engine.images import DEFAULT_BATCH_SIZE, ClassifiedImages

if typing.TYPE_CHECKING:
    from igam_tf.attacks.stepwise import StepwiseAttack

#: The distance of an image for which nothing has been found.
FAR = 1e10
#: How far a step goes where logits are equal: the boundary is there, a step to it is
#: none. Half precision and rounded logits have such places.
AT_A_TIE = 1e-4


def nearest_images(
    attack: StepwiseAttack,
    model: keras.Model,
    images: np.ndarray | tf.Tensor,
    labels: np.ndarray | tf.Tensor,
    *,
    first_index: int = 0,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest adversarial images that an attack finds, whatever its eps.

    No image is dropped before its last step: one that is misclassified may come nearer.
    Those that are misclassified as they are cost nothing but a look.

    Args:
        attack: a stepwise attack whose state has "distance", and whose numbers have
            "reach", the largest distance of what it keeps in "found".
        model: Keras model from images to logits (batch, classes).
        images: float32 array or tensor (batch, height, width, channels) in [0, 1].
        labels: integers (batch,).
        first_index: place of the first image in its data set.
        batch_size: largest batch; no result depends on it.

    Returns:
        Tuple of a float32 array like `images` (the originals where nothing was found)
        and a float32 array (batch,): distances in the norm, 0 for an image that is
        misclassified as it is, infinity where nothing was found.
    """
    given = ClassifiedImages(
        model, images, labels, first_index=first_index, batch_size=batch_size
    )
    attack = attack.for_classes(given.num_classes)
    is_robust = given.look(attack.num_targets).robust
    found = given.images.copy()
    distance = np.where(is_robust, np.inf, 0).astype(np.float32)
    for run in attack.runs():
        for rows in given.batches(np.flatnonzero(is_robust)):
            state = given.whole_run(attack, run, rows, reach=np.float32(FAR))
            new, reached = state["found"], state["distance"]
            closer = reached < np.minimum(distance[rows], FAR)
            found[rows[closer]] = new[closer]
            distance[rows[closer]] = reached[closer]
    return found, distance
