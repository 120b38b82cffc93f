"""Section 6 on a linear model, where everything is known in closed form."""

import keras
import numpy as np
import pytest
from scipy import stats
from small_models import digits, digits_net, linear_model

from igam_tf.evaluation import (
    alignment_bound,
    correlation,
    linearized_robustness,
    measure_alignment,
    measured_robustness,
)
from igam_tf.evaluation.alignment import alignment


@pytest.fixture(name="linear", scope="module")
def _linear():
    """A linear model, images near grey, and what is known of them."""
    model, weights, bias = linear_model()
    generator = np.random.default_rng(1)
    images = generator.uniform(0.4, 0.6, (7, 2, 3, 1)).astype(np.float32)
    flat = images.reshape(7, -1).astype(np.float64)
    w, b = weights[:, 0] - weights[:, 1], bias[0] - bias[1]
    return {
        "model": model,
        "images": images,
        "product": np.abs(flat @ w),
        "margin": np.abs(flat @ w + b),
        "offset": abs(b),
        "length": {"l2": np.linalg.norm(w), "linf": np.abs(w).sum()},
        "predictions": (flat @ w + b < 0).astype(np.int32),
    }


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_closed_forms(linear, norm):
    model, images, length = linear["model"], linear["images"], linear["length"][norm]
    # Batches of 3: the last one is filled up.
    shared = {"norm": norm, "batch_size": 3}
    alpha = alignment(model, images, **shared)
    rho = linearized_robustness(model, images, **shared)
    np.testing.assert_allclose(alpha, linear["product"] / length, rtol=1e-4)
    np.testing.assert_allclose(rho, linear["margin"] / length, rtol=1e-4)
    bound = alignment_bound(model, images, **shared)
    expected = (linear["product"] + linear["offset"]) / length
    np.testing.assert_allclose(bound, expected, rtol=1e-4)
    one = alignment_bound(model, images, constant=3.0, **shared)
    np.testing.assert_allclose(one, (linear["product"] + 3) / length, rtol=1e-4)
    # The wrong norm, or alpha without its division, would be seen.
    other = "linf" if norm == "l2" else "l2"
    assert np.abs(rho / (linear["margin"] / linear["length"][other]) - 1).min() > 0.2
    assert np.abs(alpha / linear["product"] - 1).min() > 0.2


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_measured_robustness_of_a_linear_model(linear, norm):
    """The distance to a plane; the balls that matter lie inside of [0, 1]."""
    model, images = linear["model"], linear["images"]
    predictions = linear["predictions"]
    measured = measured_robustness(
        model, images, predictions, norm=norm, num_steps=40, batch_size=4
    )
    exact = linear["margin"] / linear["length"][norm]
    assert (measured >= exact * (1 - 1e-4)).all()
    np.testing.assert_allclose(measured, exact, rtol=0.03)
    wrong = predictions.copy()
    wrong[2] = 1 - wrong[2]
    again = measured_robustness(
        model, images, wrong, norm=norm, num_steps=40, batch_size=4
    )
    assert again[2] == 0
    np.testing.assert_array_equal(np.delete(again, 2), np.delete(measured, 2))


def test_nothing_found_is_infinite(linear):
    model, images = linear["model"], linear["images"]
    exact = linear["margin"] / linear["length"]["l2"]
    limit = float(np.median(exact))
    measured = measured_robustness(
        model, images, linear["predictions"], max_eps=limit, num_steps=40
    )
    assert np.isinf(measured[exact > limit]).all() and (exact > limit).sum() == 3
    assert np.isfinite(measured[exact < limit]).all()


def test_a_trained_network():
    """Not linear: the bound still holds, and PGD's images are adversarial."""
    images, _ = digits()
    images = images[1200:1240]
    found = measure_alignment(digits_net(), images, batch_size=20, num_steps=10)
    assert {len(values) for values in found.values()} == {40}
    assert (found["linearized"] <= found["bound"] * (1 + 1e-6)).all()
    assert (found["linearized"] > found["alignment"]).any(), "C is needed"
    assert (found["measured"] > 0).all() and np.isfinite(found["measured"]).all()
    assert correlation(found["linearized"], found["measured"])["spearman"] > 0.5
    # Inside half of the distance found, PGD changes no prediction.
    from igam_tf import attacks
    from igam_tf.attacks.engine.compilation import compiled_logits

    labels = compiled_logits(digits_net(), images).argmax(axis=1)
    eps = float(found["measured"].min()) / 2
    attack = attacks.pgd(eps=eps, norm="l2", num_steps=20)
    adversarial = attack(digits_net(), images, labels)
    np.testing.assert_array_equal(
        compiled_logits(digits_net(), adversarial).argmax(axis=1), labels
    )


def test_the_seed_decides(linear):
    arguments = linear["model"], linear["images"], linear["predictions"]
    runs = [
        measured_robustness(*arguments, num_steps=5, num_bisections=4, seed=seed)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_a_gradient_of_zero():
    model = keras.Sequential(
        [keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    model.set_weights([np.zeros((4, 2), np.float32), np.float32([2, 0])])
    images = np.full((1, 2, 2, 1), 0.5, np.float32)
    assert alignment(model, images) == 0
    assert np.isinf(linearized_robustness(model, images))
    assert np.isinf(alignment_bound(model, images))
    assert np.isinf(measured_robustness(model, images, [0], num_bisections=2))


def test_correlation_against_scipy():
    generator = np.random.default_rng(0)
    a = generator.integers(0, 5, 50).astype(float)
    b = a + generator.normal(size=50)
    found = correlation(a, b)
    assert found["num_images"] == 50
    np.testing.assert_allclose(found["pearson"], stats.pearsonr(a, b)[0])
    np.testing.assert_allclose(found["spearman"], stats.spearmanr(a, b)[0])
    b[3], a[4] = np.inf, np.nan
    fewer = correlation(a, b)
    assert fewer["num_images"] == 48
    kept = np.delete(np.arange(50), [3, 4])
    np.testing.assert_allclose(fewer["pearson"], stats.pearsonr(a[kept], b[kept])[0])
    assert np.isnan(correlation([1, 1, 1], [1, 2, 3])["pearson"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"norm": "l1"}, "norm is 'l1'"),
        ({"images": np.ones((2, 2, 3, 1))}, "float64"),
        ({"labels": [0]}, "2 images and 1 labels"),
        ({"num_bisections": 0}, "num_bisections is 0"),
        ({"max_eps": -1.0}, "eps is -1"),
        ({"loss": "hinge"}, "loss is 'hinge'"),
    ],
)
def test_bad_input(change, message):
    model, _, _ = linear_model()
    images = np.full((2, 2, 3, 1), 0.5, np.float32)
    arguments = {"images": images, "labels": [0, 1], **change}
    with pytest.raises(ValueError, match=message):
        measured_robustness(model, **arguments)


def test_bad_constant_and_lengths(linear):
    with pytest.raises(ValueError, match="constant is -1"):
        alignment_bound(linear["model"], linear["images"], constant=-1)
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        correlation([1, 2], [1, 2, 3])
