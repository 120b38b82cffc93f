"""Which images are test images, and in which order they are read.

Both follow from the names of the images and a seed alone, by SHA-256: they are the same
on every machine, and adding an image moves few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from igam_tf.data.own.options import Options


def asked_for(
    name: str,
    labels: np.ndarray,
    keys: Sequence[str],
    class_names: Sequence[str],
    options: Options,
) -> tuple[np.ndarray, np.ndarray]:
    """`stratified` as options ask for it.

    Args:
        name: of the data, for errors.
        labels, keys, class_names: as of `stratified`.
        options: `Options`.

    Raises:
        ValueError: as `stratified`, naming the data.
    """
    try:
        return stratified(
            labels,
            keys,
            class_names,
            test_fraction=options.test_fraction,
            seed=options.split_seed,
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def stratified(
    labels: np.ndarray,
    keys: Sequence[str],
    class_names: Sequence[str],
    *,
    test_fraction: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Splits each class by the same fraction.

    Args:
        labels: int [n].
        keys: n texts that name the images.
        class_names: by label.
        test_fraction: part of each class that is tested on, one image at least; 1 puts
            all images into both splits.
        seed: chooses the images.

    Returns:
        (train, test): indices, in an order of which each beginning has the classes in
        proportion.

    Raises:
        ValueError: if a class has a single image.
    """
    if test_fraction == 1:
        every = spread(labels, keys, seed=seed)
        return every, every
    counts = np.bincount(labels, minlength=len(class_names))
    if (counts < 2).any():
        name, count = class_names[int(counts.argmin())], int(counts.min())
        raise ValueError(
            f"class {name!r} has {count} image{'' if count == 1 else 's'}: expected "
            "two at least, one to train and one to test on. Add images, or leave the "
            "class out."
        )
    wanted = np.clip(np.round(test_fraction * counts).astype(int), 1, counts - 1)
    is_test = _ranks(labels, keys, seed) < wanted[labels]
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)

    def ordered(chosen):
        inside = spread(labels[chosen], [keys[i] for i in chosen], seed=seed)
        return chosen[inside]

    return ordered(train), ordered(test)


def spread(labels: np.ndarray, keys: Sequence[str], *, seed: int) -> np.ndarray:
    """Indices in an order of which each beginning has the classes in proportion.

    A cut (`--train_examples`) is a beginning; in the order of folders it would have the
    first classes only.

    Args:
        labels: int [n].
        keys: n texts that name the images.
        seed: of the order.
    """
    counts = np.bincount(labels)
    places = (_ranks(labels, keys, seed) + 0.5) / counts[labels]
    return np.lexsort((_drawn(keys, seed), places))


def _ranks(labels, keys, seed):
    """Place of each image in its own class, shuffled."""
    order = np.lexsort((_drawn(keys, seed), labels))
    counts = np.bincount(labels)
    starts = np.cumsum(counts) - counts
    ranks = np.empty(len(labels), int)
    ranks[order] = np.arange(len(labels)) - starts[labels[order]]
    return ranks


def _drawn(keys, seed):
    """A number of 63 bits for each key."""
    # Names of files need not be UTF-8.
    texts = (f"{seed} {key}".encode(errors="surrogateescape") for key in keys)
    digests = (hashlib.sha256(text).digest()[:8] for text in texts)
    return np.array([int.from_bytes(digest) >> 1 for digest in digests], np.int64)
