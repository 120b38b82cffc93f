"""Partners of shuffled controls: never the image itself, of the requested class."""

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import data
from igam_tf.data.partners import Partners

LABELS = np.array([2, 0, 1, 2, 2, 0, 1, 1, 1, 0], np.int32)


def drawn(kind, times=400):
    partners = Partners(LABELS, kind)
    indices = tf.range(len(LABELS))
    keys = [tf.constant([7, step], tf.int64) for step in range(times)]
    return np.stack([partners.of(indices, key).numpy() for key in keys])


def test_partners_are_all_others_of_the_class():
    found = drawn("same_class")
    for image in range(len(LABELS)):
        others = set(np.flatnonzero(LABELS == LABELS[image])) - {image}
        assert set(found[:, image]) == others


def test_partners_are_all_images_of_other_classes():
    found = drawn("other_class")
    for image in range(len(LABELS)):
        assert set(found[:, image]) == set(np.flatnonzero(LABELS != LABELS[image]))


def test_a_key_draws_the_same_partners_again():
    assert (drawn("other_class", 3) == drawn("other_class", 3)).all()
    assert len(np.unique(drawn("other_class", 20), axis=0)) == 20


@pytest.mark.parametrize(
    "labels, kind, message",
    [
        ([0, 0, 1], "same_class", r"classes \[1\] have one image"),
        ([3, 3], "other_class", "all images are of class"),
        ([0, 1], "nearest", "expected one of"),
    ],
)
def test_images_without_partner_are_refused(labels, kind, message):
    with pytest.raises(ValueError, match=message):
        Partners(np.array(labels), kind)


@pytest.fixture(scope="module")
def split():
    # Each image is of one grey level of its own: known again in any batch.
    levels = np.arange(10, dtype=np.float32) / 10
    return data.Split(np.tile(levels[:, None, None, None], (1, 4, 4, 1)), LABELS)


def batches(split, **kwargs):
    return data.training_batches(
        split, 4, augmentation=data.Augmentation(), seed=5, **kwargs
    )


@pytest.mark.parametrize("kind", ["same_class", "other_class"])
def test_batches_bring_partners_and_their_labels(split, kind):
    seen = []
    for (images, partners, partner_labels), labels in batches(
        split, partners=kind, repeat=False
    ):
        index = np.rint(partners[:, 0, 0, 0] * 10).astype(int)
        np.testing.assert_array_equal(LABELS[index], partner_labels)
        assert ((labels == partner_labels).numpy() == (kind == "same_class")).all()
        assert (images.numpy() != partners.numpy()).any(axis=(1, 2, 3)).all()
        seen.append(len(labels))
    assert seen == [4, 4, 2]


def test_images_are_those_without_partners_and_epochs_draw_others(split):
    alone = batches(split, repeat=False)
    for (images, labels), ((same, *_), same_labels) in zip(
        alone, batches(split, partners="other_class", repeat=False), strict=True
    ):
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, same_labels)
    first, resumed, second = (
        [partners.numpy() for (_, partners, _), _ in epoch]
        for epoch in (
            batches(split, partners="same_class").take(3),
            batches(split, partners="same_class", first_epoch=1).take(3),
            batches(split, partners="same_class").skip(3).take(3),
        )
    )
    assert all((a == b).all() for a, b in zip(resumed, second, strict=True))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
