"""Statistics of input gradients, against networks whose derivatives are known."""

import keras
import numpy as np
import pytest
from small_models import linear_model

from igam_tf.evaluation import gradient_statistics

IMAGES = np.random.default_rng(0).uniform(0.2, 0.8, (6, 4, 4, 1)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 1, 0], np.int32)


def known(weights, images, labels, bias):
    """g and the largest eigenvalue of H of two logits, by hand.

    With p the probability of the other class and w its weights less the label's,
    g = p w and H = p (1 - p) w w'.
    """
    flat = images.reshape(len(images), -1)
    logits = flat @ weights + bias
    across = np.where(labels[:, None] == 0, 1, -1) * (weights[:, 1] - weights[:, 0])
    lead = np.where(labels == 0, 1, -1) * (logits[:, 1] - logits[:, 0])
    p = 1 / (1 + np.exp(-lead))
    g = p[:, None] * across
    return g, p * (1 - p) * (across**2).sum(axis=1)


def test_a_linear_model_by_hand():
    model, weights, bias = linear_model(shape=(4, 4, 1), seed=2)
    g, hessian = known(weights, IMAGES, LABELS, bias)
    is_robust = np.array([True, False, True, True, False, False])
    names = ("gradient_l1", "gradient_l1_robust", "gradient_l1_vulnerable",
             "gradient_l2", "hessian_norm", "curvature", "linearity_error")  # fmt: skip
    # In batches of which the last one is filled up.
    found = gradient_statistics(
        model, IMAGES, LABELS, names, eps=0.01, is_robust=is_robust, batch_size=4
    )
    l1, l2 = np.abs(g).sum(axis=1), np.linalg.norm(g, axis=1)
    expected = {
        "gradient_l1": l1,
        "gradient_l1_robust": l1[is_robust],
        "gradient_l1_vulnerable": l1[~is_robust],
        "gradient_l2": l2,
        "hessian_norm": hessian,
        "curvature": hessian / (l2 + 1e-6),
    }
    assert list(found) == list(names)
    for name, values in expected.items():
        assert found[name]["mean"] == pytest.approx(values.mean(), rel=1e-3), name
        assert found[name]["sd"] == pytest.approx(values.std(), rel=1e-2), name
        assert found[name]["num_images"] == len(values)
    # The rest of the Taylor series: half the Hessian, at most along w.
    longest = 0.01 * l1 / l2
    error = found["linearity_error"]["mean"]
    assert 0 < error < (hessian * (longest * 4) ** 2 / 2).mean()


def test_gradients_on_the_edges_correlate_with_them():
    """A square whose logit is its own gradient: once on its edges, once off them."""
    from igam_tf import edges

    image = np.zeros((1, 12, 12, 1), np.float32)
    image[0, 4:8, 4:8] = 1.0
    energy = np.asarray(edges.edge_energy(keras.ops.convert_to_tensor(image)))[0]
    correlations = []
    for weights in (energy, 1.0 / (0.05 + energy)):
        model = keras.Sequential(
            [keras.Input((12, 12, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
        )
        kernel = np.stack([0 * weights.ravel(), weights.ravel()], axis=1)
        model.set_weights([kernel / kernel.sum(), np.zeros(2)])
        found = gradient_statistics(model, image, [0], ["edge_correlation"])
        correlations.append(found["edge_correlation"]["mean"])
    assert correlations[0] > 0.8 and correlations[1] < -0.5


class _Decoded:
    """Grey levels that are there only when they are asked for, a batch at most."""

    dtype = np.dtype(np.uint8)

    def __init__(self, images):
        self.images = images
        self.shape, self.asked = images.shape, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, places):
        self.asked.append(len(self.images[places]))
        return self.images[places]

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("all images at once")


def test_images_are_decoded_batch_by_batch():
    model, _, _ = linear_model(shape=(4, 4, 1), seed=2)
    grey = np.random.default_rng(1).integers(50, 200, (41, 4, 4, 1)).astype(np.uint8)
    labels = np.arange(41, dtype=np.int32) % 2
    names = ["gradient_l1", "curvature", "linearity_error"]
    whole = gradient_statistics(
        model, grey / np.float32(255), labels, names, batch_size=4
    )
    streamed = _Decoded(grey)
    found = gradient_statistics(model, streamed, labels, names, batch_size=4)
    assert found == whole and found["curvature"]["num_images"] == 41
    # Sixteen are looked at before; then every image once.
    assert streamed.asked == [16, *[4] * 10, 1]


def test_nothing_to_average_is_none_and_bad_arguments_are_named():
    model, _, _ = linear_model(shape=(4, 4, 1), seed=2)
    names = ["gradient_l1_robust"]
    found = gradient_statistics(
        model, IMAGES, LABELS, names, is_robust=np.zeros(6, bool), batch_size=4
    )
    assert found == {"gradient_l1_robust": {"mean": None, "sd": None, "num_images": 0}}
    with pytest.raises(ValueError, match="without is_robust: expected"):
        gradient_statistics(model, IMAGES, LABELS, names)
    with pytest.raises(ValueError, match="'size' is unknown"):
        gradient_statistics(model, IMAGES, LABELS, ["size"])
    with pytest.raises(ValueError, match="1x4 pixels: expected sides of at least 4"):
        gradient_statistics(
            linear_model((1, 4, 1))[0], IMAGES[:, :1], LABELS, ["edge_correlation"]
        )
    with pytest.raises(ValueError, match="6 images and 5 labels"):
        gradient_statistics(model, IMAGES, LABELS[:5], ["gradient_l1"])
