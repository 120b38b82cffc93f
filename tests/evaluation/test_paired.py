"""Paired comparisons by hand: outcomes of each image, and the exact test of them."""

import json

import numpy as np
import pytest
from scipy import stats
from small_models import linear_model

import igam_tf
from igam_tf.evaluation import compare, compare_many
from igam_tf.evaluation.outcomes import Digest, packed, unpacked

pytestmark = pytest.mark.fast

GENERATOR = np.random.default_rng(4)
IMAGES = GENERATOR.random((21, 2, 3, 1)).astype(np.float32)
LABELS = GENERATOR.integers(0, 2, 21).astype(np.int32)


def result(is_correct, images="a"):
    is_correct = np.asarray(is_correct, bool)
    return {
        "num_examples": len(is_correct),
        "outcomes": {"images": images, "correct": {"autoattack": packed(is_correct)}},
    }


def result_of(other, images):
    return {**other, "outcomes": {**other["outcomes"], "images": images}}


def pair(both, first_only, second_only, neither):
    first = [1] * (both + first_only) + [0] * (second_only + neither)
    second = [1] * both + [0] * first_only + [1] * second_only + [0] * neither
    return result(first), result(second)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 21])
def test_outcomes_come_back_from_their_text(count):
    bits = GENERATOR.random(count) < 0.5
    assert (unpacked(packed(bits), count) == bits).all()
    with pytest.raises(ValueError, match="evaluate the model again"):
        unpacked(packed(bits), count + 8)


def test_exact_test_by_hand():
    # 9 images differ, 8 of them in favour of the first:
    # p = 2 (C(9,0) + C(9,1)) / 2^9 = 20 / 512.
    found = compare(*pair(50, 8, 1, 41), "autoattack")
    assert found["p_value"] == pytest.approx(20 / 512)
    assert (found["first"], found["second"]) == (0.58, 0.51)
    assert found["difference"] == pytest.approx(0.07)
    assert found["decided"] == 1
    # Clopper-Pearson of 8 of 9: 0.5175 to 0.9972 (tables); the difference's is
    # (2 p - 1) 9 / 100.
    low, high = found["interval"]
    assert low == pytest.approx((2 * 0.51750 - 1) * 0.09, abs=1e-5)
    assert high == pytest.approx((2 * 0.99719 - 1) * 0.09, abs=1e-5)
    mirrored = compare(*reversed(pair(50, 8, 1, 41)), "autoattack")
    assert mirrored["decided"] == -1
    assert mirrored["interval"] == pytest.approx([-high, -low])


def test_intervals_that_leave_out_zero_are_those_that_are_decided():
    for first_only in range(13):
        for second_only in range(13):
            found = compare(*pair(5, first_only, second_only, 5), "autoattack")
            low, high = found["interval"]
            assert (found["decided"] == 1) == (low > 1e-12)
            assert (found["decided"] == -1) == (high < -1e-12)


def test_equal_models_are_undecided():
    found = compare(*pair(30, 0, 0, 10), "autoattack")
    assert (found["p_value"], found["decided"], found["interval"]) == (1.0, 0, [0, 0])


def test_overlapping_intervals_of_two_models_may_hide_a_difference():
    # Wilson's intervals of 30 and 36 of 100 overlap; all six differing images agree.
    assert compare(*pair(30, 6, 0, 64), "autoattack")["decided"] == 1


def test_several_pairs_by_hand():
    one = pair(10, 4, 0, 6)
    # Four images of twenty differ, by 1/2 each: mean 1/10, and in the other twenty not.
    other = pair(10, 0, 0, 10)
    for images in ("a", "b"):
        pairs = [one, tuple(result_of(of, images) for of in other)]
        found = compare_many(pairs, "autoattack")
        differences = [0.5] * 4 + [0] * 16 if images == "a" else [1] * 4 + [0] * 36
        expected = stats.ttest_1samp(differences, 0)
        assert found["difference"] == pytest.approx(0.1)
        assert found["p_value"] == pytest.approx(expected.pvalue)
        assert found["interval"] == pytest.approx(list(expected.confidence_interval()))
        assert (found["num_examples"], found["num_pairs"]) == (len(differences), 2)


def test_a_second_network_that_does_the_same_decides_nothing_more():
    one = pair(10, 4, 0, 6)
    twice = compare_many([one, one], "autoattack")
    assert twice == {**compare_many([one] * 5, "autoattack"), "num_pairs": 2}
    assert twice["num_examples"] == 20


def test_networks_without_a_difference_are_undecided_as_often_as_the_level_says():
    """Images are easy or hard for all of them: outcomes are no independent draws."""
    generator, decided = np.random.default_rng(0), 0
    for _ in range(200):
        chances = [generator.beta(0.3, 0.3, 200) for _ in range(2)]
        pairs = [
            tuple(result(generator.random(200) < chance) for chance in chances)
            for _ in range(5)
        ]
        decided += bool(compare_many(pairs, "autoattack")["decided"])
    # 5 % of 200, and three standard deviations; counted one by one they are a third.
    assert decided <= 10 + 3 * np.sqrt(200 * 0.05 * 0.95)


def test_only_the_same_images_are_compared():
    with pytest.raises(ValueError, match="different images"):
        compare(result([1, 0]), result([1, 0], images="b"), "autoattack")
    with pytest.raises(ValueError, match="no outcomes under 'pgd20'.*autoattack"):
        compare(*pair(1, 1, 1, 1), "pgd20")
    with pytest.raises(ValueError, match="second result has no outcomes"):
        compare(result([1]), {"num_examples": 1}, "autoattack")


def evaluated(seed, images=IMAGES, labels=LABELS, **kwargs):
    model, _, _ = linear_model(seed=seed)
    return igam_tf.evaluate(
        model,
        (images, labels),
        attacks=["clean", "fgsm"],
        eps=0.05,
        panel=False,
        progress=False,
        **kwargs,
    )


def test_evaluations_keep_what_happened_to_each_image():
    found = evaluated(0, batch_size=8)
    model, _, _ = linear_model(seed=0)
    is_correct = model(IMAGES).numpy().argmax(axis=1) == LABELS
    outcomes = json.loads(json.dumps(found["outcomes"]))["correct"]
    assert (unpacked(outcomes["clean"], 21) == is_correct).all()
    attacked = unpacked(outcomes["fgsm"], 21)
    assert attacked.sum() == found["attacks"]["fgsm"]["num_correct"]
    assert (unpacked(outcomes["worst_case"], 21) == (attacked & is_correct)).all()


def test_the_order_and_the_labels_of_images_tell_them_apart():
    same, other = evaluated(0, batch_size=8), evaluated(1, batch_size=21)
    assert compare(same, other, "fgsm")["num_examples"] == 21
    for images, labels in ((IMAGES[::-1], LABELS[::-1]), (IMAGES, 1 - LABELS)):
        with pytest.raises(ValueError, match="different images"):
            compare(same, evaluated(0, images, labels), "clean")


def test_a_digest_goes_on_where_it_was_kept():
    whole, first = Digest(), Digest()
    whole.add(IMAGES, LABELS)
    first.add(IMAGES[:5], LABELS[:5])
    rest = Digest(first.state)
    rest.add(IMAGES[5:], LABELS[5:])
    assert rest.state == whole.state != first.state
