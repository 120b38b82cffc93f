"""Data without an end: refused where it says so, noticed where it repeats itself."""

import tensorflow as tf

from igam_tf.evaluation.batches import fingerprints

# Images in a row that come again as they came first; copies of each image that a data
# set may hold, and how many images it takes to say so.
_IN_A_ROW, _COPIES, _AT_LEAST = 32, 3, 1000


def check_ends(data, max_examples):
    """Raises ValueError if a Dataset says that it has no end, and nothing stops it."""
    if max_examples is not None or not isinstance(data, tf.data.Dataset):
        return
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(
            "the data set has no end (it ends in repeat()): expected each image once; "
            "leave repeat() out, or pass max_examples."
        )


class Repeats:
    """Notices that a data set of unknown length comes round again.

    Args:
        data: what is evaluated; only of a Dataset of unknown length are images kept in
            mind, 8 bytes each.
        max_examples: where the evaluation stops, or None.
    """

    def __init__(self, data, max_examples):
        self._looks = (
            max_examples is None
            and isinstance(data, tf.data.Dataset)
            and data.cardinality() == tf.data.UNKNOWN_CARDINALITY
        )
        self._first, self._seen, self._count = [], set(), 0
        self._matched = 0

    def add(self, images):
        """Takes note of a batch.

        Raises:
            ValueError: if the images so far are the same ones again and again.
        """
        if not self._looks:
            return
        for text in fingerprints(images):
            number = int(text, 16)
            self._count += 1
            if len(self._first) < _IN_A_ROW:
                self._first.append(number)
            else:
                self._follow(number)
            self._seen.add(number)
        if self._count >= max(_AT_LEAST, _COPIES * len(self._seen)):
            self._refuse()

    def _follow(self, number):
        """Counts how many of the first images have come again, in their order."""
        if number != self._first[self._matched]:
            self._matched = 0
        self._matched += number == self._first[self._matched]
        if self._matched == len(self._first):
            if len(set(self._first)) > 1:
                self._refuse()
            self._matched = 0

    def _refuse(self):
        raise ValueError(
            f"the data set repeats itself: {self._count} images so far, and "
            f"{len(self._seen)} different ones. Expected each image once; leave "
            "repeat() out, or pass max_examples."
        )
