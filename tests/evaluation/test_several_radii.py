"""One evaluation at several radii, of a linear model whose worst case is known."""

import numpy as np
from small_models import linear_model

import igam_tf
from igam_tf.attacks import parse
from igam_tf.evaluation.masking import order_warnings


def test_each_column_has_its_ball_and_the_worst_case_that_of_the_evaluation():
    model, weights, _ = linear_model(shape=(4, 4, 1), seed=2)
    generator = np.random.default_rng(0)
    images = generator.uniform(0.3, 0.7, (200, 4, 4, 1)).astype(np.float32)
    logits = model(images).numpy()
    labels = logits.argmax(axis=1)
    margin = np.abs(logits[:, 0] - logits[:, 1])
    across = weights[:, 0] - weights[:, 1]

    def stands(eps, dual):
        return int((margin > eps * np.linalg.norm(across, dual)).sum())

    result = igam_tf.evaluate(
        model,
        (images, labels),
        ["clean", "fgsm@0.02", "fgsm@0.04", "fgsm@0.08", "fgsm@l2:0.3"],
        eps=0.05,
        panel=False,
        progress=False,
    )
    found = {name: entry["num_correct"] for name, entry in result["attacks"].items()}
    assert found == {
        "clean": 200,
        "fgsm@0.02": stands(0.02, 1),
        "fgsm@0.04": stands(0.04, 1),
        "fgsm@0.08": stands(0.08, 1),
        "fgsm@l2:0.3": stands(0.3, 2),
    }
    assert 200 > found["fgsm@0.02"] > found["fgsm@0.04"] > found["fgsm@0.08"] > 0
    assert found["fgsm@l2:0.3"] < found["fgsm@0.04"]
    # 0.08 and the ball of L2 reach beyond 0.05 of Linf.
    assert result["worst_case"]["num_correct"] == found["fgsm@0.04"]


def test_attacks_in_different_balls_are_not_compared():
    named = {name: parse(name, eps=0.05) for name in ("fgsm@0.08", "pgd20@0.02")}
    entries = {
        "fgsm@0.08": {"accuracy": 0.1, "interval_95": [0.05, 0.15]},
        "pgd20@0.02": {"accuracy": 0.8, "interval_95": [0.7, 0.9]},
    }
    assert order_warnings(named, entries) == []
    named = {name: parse(name, eps=0.02) for name in ("fgsm", "pgd20")}
    entries = dict(zip(named, entries.values(), strict=True))
    assert len(order_warnings(named, entries)) == 1
