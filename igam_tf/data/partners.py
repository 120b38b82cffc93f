"""Pairs each image with another, of its class or of another, for shuffled controls."""

import numpy as np
import tensorflow as tf

KINDS = ("same_class", "other_class")


class Partners:
    """Draws a partner for each image of a data set, never the image itself.

    Args:
        labels: integer array (n,), of all images.
        kind: "same_class", uniform over the other images of the class, or
            "other_class", uniform over the images of all other classes.

    Raises:
        ValueError: if the kind is unknown or an image has no partner.
    """

    def __init__(self, labels: np.ndarray, kind: str):
        if kind not in KINDS:
            raise ValueError(f"partners={kind!r}: expected one of {KINDS}, or None.")
        labels = np.asarray(labels)
        counts = np.bincount(labels)
        classes = np.flatnonzero(counts)
        if kind == "same_class" and counts[classes].min() < 2:
            lonely = classes[counts[classes] < 2].tolist()
            raise ValueError(
                f"partners='same_class': the classes {lonely} have one image each; "
                "expected two or more of every class. Take more training images."
            )
        if kind == "other_class" and len(classes) < 2:
            raise ValueError(
                f"partners='other_class': all images are of class {classes.tolist()}; "
                "expected two classes or more."
            )
        self.kind = kind
        order = np.argsort(labels, kind="stable").astype(np.int32)
        starts = (np.cumsum(counts) - counts).astype(np.int32)
        places = np.empty_like(order)
        places[order] = np.arange(len(order), dtype=np.int32)
        self._arrays = order, places, starts[labels], counts[labels].astype(np.int32)

    def of(self, indices: tf.Tensor, key: tf.Tensor) -> tf.Tensor:
        """Draws a partner for each image of a batch.

        Args:
            indices: int32 tensor (batch,), images of the data set.
            key: int64 tensor [2], the only source of randomness.

        Returns:
            int32 tensor (batch,).
        """
        order, places, starts, counts = map(tf.constant, self._arrays)
        total = len(self._arrays[0])
        places, starts, counts = (
            tf.gather(a, indices) for a in (places, starts, counts)
        )
        share = tf.random.stateless_uniform(
            tf.shape(indices), key, dtype=tf.float64, alg="philox"
        )

        def below(limit):
            # Rounding must not reach the limit.
            drawn = tf.cast(share * tf.cast(limit, tf.float64), tf.int32)
            return tf.minimum(drawn, limit - 1)

        # Images stand in the order of their classes: a class is an interval, a ring of
        # its own for same_class, and left out of the ring of all for other_class.
        if self.kind == "same_class":
            ahead = 1 + below(counts - 1)
            return tf.gather(order, starts + (places - starts + ahead) % counts)
        after = starts + counts + below(total - counts)
        return tf.gather(order, after % total)
