"""Adversarial images for a page, on a model whose worst case is known."""

import numpy as np
import pytest
from small_models import linear_model

from igam_tf import data
from igam_tf.reports import adversarial_examples


def split():
    images = np.full((5, 2, 3, 1), 0.5, np.float32)
    return data.Split(images, np.array([1, 1, 0, 1, 0], np.int32))


def test_the_first_of_each_class_and_the_worst_change():
    model, weights, _ = linear_model()
    found = adversarial_examples({"a": model}, split(), eps=0.1, count=3)
    assert found.labels.tolist() == [1, 1, 0]
    moved, before, after = found.found["a"]
    # The loss of two classes rises along the sign of the difference of their weights.
    direction = np.sign(weights[:, 1] - weights[:, 0]).reshape(2, 3, 1)
    signs = np.where(found.labels == 0, 1, -1).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(moved - found.images, 0.1 * signs * direction, atol=1e-6)
    assert found.magnification == pytest.approx(5)
    shown = found.shown_change("a")
    np.testing.assert_allclose(shown, 0.5 + 0.5 * signs * direction, atol=1e-5)
    assert len(before) == len(after) == 3
    assert found.attack.startswith("pgd(eps=0.1")


def test_no_models():
    with pytest.raises(ValueError, match="no models"):
        adversarial_examples({}, split(), eps=0.1)
