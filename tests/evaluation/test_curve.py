"""The robust accuracy at every eps, from the distances of one evaluation."""

import json

import numpy as np
import pytest
from small_models import linear_model

import igam_tf
from igam_tf.evaluation import distances_of, robust_curve
from igam_tf.evaluation.counting import Counter
from igam_tf.evaluation.curve import packed_distances, summary, unpacked_distances

GENERATOR = np.random.default_rng(3)
IMAGES = GENERATOR.uniform(0.3, 0.7, (24, 2, 3, 1)).astype(np.float32)


def case(flipped=3):
    """A linear model, images of which some have the wrong label, their distances."""
    model, weights, _ = linear_model()
    logits = model(IMAGES).numpy()
    labels = logits.argmax(axis=1).astype(np.int32)
    lead = np.abs(logits[:, 0] - logits[:, 1])
    truth = lead / np.abs(weights[:, 0] - weights[:, 1]).sum()
    labels[:flipped] = 1 - labels[:flipped]
    truth[:flipped] = 0
    return model, labels, truth


def test_distances_come_back_from_their_text():
    values = np.float32([0, 0.1, np.inf])
    np.testing.assert_array_equal(
        unpacked_distances(packed_distances(values), 3), values
    )
    with pytest.raises(ValueError, match="3 images where 4 were expected"):
        unpacked_distances(packed_distances(values), 4)


def test_a_summary_by_hand():
    found = summary(np.float32([0, 0.1, 0.2, 0.3, np.inf]), 0.2)
    # Of the four that are right: between 0.2 and 0.3.
    assert found["median_distance"] == pytest.approx(0.25)
    # An image at eps exactly is not robust: the ball is closed.
    assert dict(zip(found["curve"]["eps"], found["curve"]["accuracy"]))[0.2] == 0.4
    assert found["curve"]["accuracy"][0] == 0.8
    assert summary(np.float32([0, np.inf]), 0.1)["median_distance"] is None
    assert summary(np.float32([0, 0]), 0.1)["median_distance"] is None


def test_an_evaluation_measures_every_eps_at_once():
    model, labels, truth = case()
    eps = float(np.sort(truth)[12:14].mean())
    result = igam_tf.evaluate(
        model,
        (IMAGES, labels),
        attacks=["clean", "fmn60"],
        eps=eps,
        batch_size=10,
        panel=False,
        progress=False,
    )
    result = json.loads(json.dumps(result))
    entry = result["attacks"]["fmn60"]
    assert entry["num_correct"] == (truth > eps).sum() == 11
    np.testing.assert_allclose(distances_of(result, "fmn60"), truth, rtol=0.03)
    accuracies = entry["curve"]["accuracy"]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[0] == result["attacks"]["clean"]["accuracy"] == 21 / 24
    assert robust_curve(result, "fmn60", [eps]) == [entry["accuracy"]]
    assert robust_curve(result, "fmn60", [9.0]) == [0.0]
    # A look at each, and 60 steps of those that are right.
    assert entry["forward_passes"] == 24 + 21 * 60
    assert entry["backward_passes"] == 21 * 60
    with pytest.raises(ValueError, match="no distances of 'clean' .it has: fmn60"):
        robust_curve(result, "clean", [eps])


def test_distances_are_kept_when_it_goes_on():
    model, labels, _ = case()
    attack = igam_tf.attacks.FMN(eps=0.1, num_steps=5)

    def counter():
        return Counter(model, {"fmn": attack}, training=False, batch_size=8)

    whole, first, rest = counter(), counter(), counter()
    for start in (0, 8, 16):
        portion = IMAGES[start : start + 8], labels[start : start + 8]
        whole.add(*portion)
        (first if start == 0 else rest).add(*portion)
        if start == 0:
            rest.restore(json.loads(json.dumps(first.state())))
    for one, other in ((whole, rest),):
        assert one.outcomes() == other.outcomes()
        entries = one.entries()["fmn"], other.entries()["fmn"]
        for kind in ("curve", "forward_passes", "num_correct"):
            assert entries[0][kind] == entries[1][kind]


def test_passes_that_an_earlier_version_did_not_count():
    """A sum of the last portions alone would pass for that of all."""
    model, labels, _ = case()
    attack = igam_tf.attacks.Square(eps=0.1, num_queries=3)
    first, rest = (
        Counter(model, {"square": attack}, training=False, batch_size=8)
        for _ in range(2)
    )
    first.add(IMAGES[:8], labels[:8])
    assert first.entries()["square"]["forward_passes"] >= 8
    rest.restore(json.loads(json.dumps({**first.state(), "details": {}})))
    rest.add(IMAGES[8:16], labels[8:16])
    assert "forward_passes" not in rest.entries()["square"]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"batch_norm": "batch", "attacks": "fmn"}, "expected batch_norm='inference'"),
        ({"norm": "l1", "attacks": "fmn"}, "with the masking panel.*--nopanel"),
        ({"norm": "l1", "attacks": "spsa", "panel": False}, "norm is 'l1'"),
        ({"norm": "linf", "attacks": "ddn"}, "for which DDN is defined"),
    ],
)
def test_what_is_not_defined_is_refused(settings, message):
    model, labels, _ = case()
    with pytest.raises(ValueError, match=message):
        igam_tf.evaluate(model, (IMAGES, labels), progress=False, **settings)


def test_an_evaluation_in_l1():
    model, labels, _ = case()
    result = igam_tf.evaluate(
        model,
        (IMAGES, labels),
        attacks=["clean", "fmn", "square20"],
        eps=0.1,
        norm="l1",
        panel=False,
        progress=False,
    )
    assert result["threat_model"] == "L1"
    clean, square = (result["attacks"][name] for name in ("clean", "square20"))
    assert square["num_correct"] <= clean["num_correct"]
    # A look at each, the start and 20 queries of 21 images at most, in a batch of 22.
    assert 24 + 21 <= square["forward_passes"] <= 24 + 22 * 21
    assert square["backward_passes"] == 0
    # A change of one pixel, of the largest weight, is enough: distances are known.
    weights = model.get_weights()[0]
    steepest = np.abs(weights[:, 0] - weights[:, 1]).max()
    logits = model(IMAGES).numpy()
    truth = np.abs(logits[:, 0] - logits[:, 1]) / steepest
    truth[:3] = 0
    near = truth < 0.3
    found = distances_of(result, "fmn")
    assert near.sum() > 8
    np.testing.assert_allclose(found[near], truth[near], rtol=0.03)
