"""Signs of gradient masking are told, and only they."""

import keras
import numpy as np
from small_models import digits, digits_net

import igam_tf
from igam_tf.attacks import parse
from igam_tf.evaluation.intervals import wilson_interval
from igam_tf.evaluation.masking import order_warnings


def warnings_of(counts, num_examples=1000):
    """Warnings for made-up numbers of images left standing."""
    attacks = {name: parse(name, eps=0.1) for name in counts}
    entries = {
        name: {
            "accuracy": count / num_examples,
            "interval_95": wilson_interval(count, num_examples),
        }
        for name, count in counts.items()
    }
    return order_warnings(attacks, entries)


def test_order_as_it_must_be():
    assert not warnings_of({"clean": 950, "fgsm": 600, "pgd5": 550, "pgd20": 500})
    # Another loss is another attack, and noise within the interval is no sign.
    assert not warnings_of({"pgd5": 300, "cw20": 600})
    assert not warnings_of({"fgsm": 500, "pgd20": 510})


def test_fgsm_that_beats_pgd():
    (warning,) = warnings_of({"clean": 950, "fgsm": 358, "pgd10": 439})
    assert "pgd10 leaves 43.9%" in warning and "fgsm only 35.8%" in warning


def test_few_short_steps_may_be_weaker_than_fgsm():
    """PGD-5 goes 5/4 eps from a random start, and may not reach the other side."""
    assert not warnings_of({"fgsm": 358, "pgd5": 439})


def test_fewer_steps_or_restarts_that_beat_more():
    assert len(warnings_of({"pgd10": 300, "pgd20": 400, "pgd100": 500})) == 3
    assert len(warnings_of({"pgd20": 300, "pgd20x5": 400})) == 1
    # 100 steps and 5 restarts of 20 do not compare.
    assert not warnings_of({"pgd100": 300, "pgd20x5": 400})


def test_vanished_gradients_are_told():
    """Logits times 1e4: the cross entropy of a confident image is exactly flat."""
    images, labels = digits()
    data = images[1200:1300], labels[1200:1300]
    masked = keras.Sequential([digits_net(), keras.layers.Rescaling(1e4)])
    result = igam_tf.evaluate(masked, data, ["pgd5"], eps=0.2, progress=False)
    (warning,) = result["warnings"]
    assert "exactly zero" in warning
    honest = igam_tf.evaluate(digits_net(), data, ["pgd5"], eps=0.2, progress=False)
    assert honest["warnings"] == []
    # What the warning says is true: the attack is weaker than on the same net unscaled.
    standing = [r["attacks"]["pgd5"]["num_correct"] for r in (result, honest)]
    assert standing[0] > standing[1]
    # Without an attack there is nothing to warn of.
    assert not igam_tf.evaluate(masked, data, ["clean"], progress=False)["warnings"]


def test_layer_without_gradient_is_told():
    images, labels = digits()
    quantised = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Lambda(lambda x: keras.ops.round(x * 4) / 4),
            digits_net(),
        ]
    )
    data = images[1200:1240], labels[1200:1240]
    result = igam_tf.evaluate(quantised, data, ["fgsm"], eps=0.1, progress=False)
    correct = igam_tf.evaluate(quantised, data, ["clean"], progress=False)
    count = correct["attacks"]["clean"]["num_correct"]
    (warning,) = result["warnings"]
    assert f"exactly zero at {count} of the first {count} images" in warning
    assert np.isclose(result["attacks"]["fgsm"]["accuracy"], count / 40)
