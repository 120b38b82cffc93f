"""Two evaluations under every attack that both have: hand-made outcomes."""

import copy

import pytest

from igam_tf.evaluation import compare, compare_evaluations
from igam_tf.evaluation.outcomes import packed

pytestmark = pytest.mark.fast


def evaluation(**bits):
    """A result of two attacks and their worst case on ten images."""
    names = {name: [int(bit) for bit in text] for name, text in bits.items()}
    attacks = [name for name in names if name != "worst_case"]
    return {
        "threat_model": "Linf",
        "eps": 8 / 255,
        "batch_norm": "inference",
        "num_examples": 10,
        "panel": None,
        "attacks": {name: {"attack": f"{name}(seed=0)"} for name in attacks},
        "outcomes": {
            "images": "the same",
            "correct": {name: packed(value) for name, value in names.items()},
        },
    }


@pytest.fixture(name="first")
def _first():
    return evaluation(clean="1" * 10, fgsm="1111111100", worst_case="1111111100")


@pytest.fixture(name="second")
def _second():
    return evaluation(clean="1" * 10, fgsm="1000000000", worst_case="1000000000")


def test_every_attack_that_both_have_is_compared_alone(first, second):
    found = compare_evaluations(first, second)
    assert list(found["attacks"]) == ["clean", "fgsm", "worst_case"]
    for name, entry in found["attacks"].items():
        assert entry == compare(first, second, name)
    # Seven images differ, all for the first: p = 2 / 2^7.
    assert found["attacks"]["fgsm"]["p_value"] == pytest.approx(2 / 2**7)
    assert found["attacks"]["fgsm"]["decided"] == 1
    assert found["attacks"]["clean"]["decided"] == 0
    assert (found["num_examples"], found["notes"]) == (10, [])


def test_worst_cases_of_other_attacks_are_not_compared(first, second):
    del second["attacks"]["clean"], second["outcomes"]["correct"]["clean"]
    found = compare_evaluations(first, second)
    assert list(found["attacks"]) == ["fgsm"]
    assert "not compared: clean" in found["notes"][0]
    assert "did not face the same attacks" in found["notes"][1]


def test_a_panel_of_one_of_the_two_makes_worst_cases_incomparable(first, second):
    second["panel"] = {"warns": []}
    assert "worst_case" not in compare_evaluations(first, second)["attacks"]


@pytest.mark.parametrize(
    "change, is_compared",
    [
        ({}, True),
        ({"num_examples": 8}, False),
        ({"seed": 1}, False),
        ({"checks": {"logits": {}, "transfer": {"values": {"other": {}}}}}, False),
        ({"checks": {"logits": {}}}, False),
        # Made where other checks found something.
        ({"checks": {"spsa": {}, "logits": {},
                     "transfer": {"values": {"before": 1, "teacher": {}}}}}, True),
    ],
)  # fmt: skip
def test_worst_cases_are_compared_where_the_panels_tried_the_same(
    first, second, change, is_compared
):
    checks = {"logits": {}, "transfer": {"values": {"before": 0.5, "teacher": {}}}}
    first["panel"] = {"num_examples": 100, "seed": 0, "checks": checks}
    second["panel"] = {**first["panel"], **change}
    found = compare_evaluations(first, second)
    assert ("worst_case" in found["attacks"]) == is_compared
    assert any("same attacks (the panel's" in n for n in found["notes"]) != is_compared


def test_what_differs_without_forbidding_is_said(first, second):
    second["attacks"]["fgsm"]["attack"] = "fgsm(seed=1)"
    second["batch_norm"] = "batch"
    batch_norm, attack = compare_evaluations(first, second)["notes"]
    assert "inference and batch" in batch_norm
    assert "fgsm(seed=0) and fgsm(seed=1)" in attack


@pytest.mark.parametrize(
    "change, message",
    [
        ({"eps": 0.1}, "radius of the two results is 8/255 and 0.1"),
        ({"threat_model": "L2"}, "norm of the two results is Linf and L2"),
        ({"eps": None}, "radius of the two results"),
        ({"outcomes": {"images": "b", "correct": {"fgsm": packed([1] * 10)}}},
         "different images"),
        ({"outcomes": {"images": "a", "correct": {"spsa": packed([1] * 10)}}},
         "no attack in common .clean, fgsm, worst_case; spsa"),
        ({"outcomes": {}}, "no attack in common .*no outcomes"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(first, second, change, message):
    with pytest.raises(ValueError, match=message):
        compare_evaluations(first, {**copy.deepcopy(second), **change})
