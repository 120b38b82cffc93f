"""What a table says of its teacher: nothing without controls, nothing undecided."""

import numpy as np
import pytest

from igam_tf.evaluation.outcomes import packed
from igam_tf.reports import format_table
from igam_tf.reports.transfer import sentences, strongest, transfer

pytestmark = pytest.mark.fast


def row(label, is_correct, attack="autoattack", **more):
    is_correct = np.asarray(is_correct, bool)
    accuracy = float(is_correct.mean())
    bits = packed(is_correct)
    return {
        "label": label,
        "evaluation": {
            "attacks": {attack: {"accuracy": accuracy, "interval_95": [0, 1]}},
            "outcomes": {"images": "a", "correct": {attack: bits, "worst_case": bits}},
            "threat_model": "Linf",
            "eps": 8 / 255,
            "batch_norm": "inference",
            "seed": 0,
            "num_examples": len(is_correct),
        },
        **more,
    }


def table(igam, *controls, **kwargs):
    rows = {"igam": row("IGAM", igam, **kwargs)}
    for number, outcomes in enumerate(controls):
        rows[f"igam-{number}"] = row(
            f"IGAM, {number}", outcomes, method="igam", control_of="igam", **kwargs
        )
    return {"title": "a -> b", "rows": rows}


HALF, MOST = [1] * 20 + [0] * 20, [1] * 30 + [0] * 10
LEAST = [0] * 30 + [1] * 10


def test_without_controls_the_table_says_that_it_shows_nothing():
    text = format_table(table(MOST))
    assert "No controls of IGAM: nothing here says that its robustness comes" in text
    assert "adds robustness" not in text and "add robustness" not in text


def test_rows_without_a_teacher_are_not_asked_for_controls():
    results = {"title": "a -> b", "rows": {"standard": row("Standard", HALF)}}
    assert transfer(results) == []
    assert "controls" not in format_table(results)


def test_the_best_control_counts():
    # Far above the first control, equal to the second.
    found = transfer(table(MOST, LEAST, MOST))[0]
    assert found["best_control"] == "igam-1"
    text = format_table(table(MOST, LEAST, MOST))
    assert (
        "Undecided: this does not show that robustness comes from the teacher." in text
    )
    assert "add robustness" not in text


def test_decided_either_way():
    assert "teacher's gradients add robustness here" in format_table(table(MOST, HALF))
    text = format_table(table(HALF, MOST))
    assert "take robustness away" in text and "add robustness" not in text


def test_the_sentence_has_the_numbers():
    (text,) = sentences(transfer(table(MOST, HALF)))
    # Ten images differ, all in favour of IGAM: p = 2 / 2^10.
    assert "+25.0 points under AutoAttack" in text and "p = 0.002, 40 images" in text


def test_the_strongest_attack_that_all_have_is_compared():
    results = table(MOST, HALF)
    for one in results["rows"].values():
        evaluation = one["evaluation"]
        bits = evaluation["outcomes"]["correct"]["autoattack"]
        for name in ("clean", "pgd5", "pgd100"):
            evaluation["outcomes"]["correct"][name] = bits
            evaluation["attacks"][name] = evaluation["attacks"]["autoattack"]
    assert transfer(results)[0]["comparison"]["attack"] == "autoattack"
    del results["rows"]["igam-0"]["evaluation"]["outcomes"]["correct"]["autoattack"]
    assert transfer(results)[0]["comparison"]["attack"] == "pgd100"


def test_results_of_earlier_versions_are_not_compared():
    results = table(MOST, HALF)
    del results["rows"]["igam-0"]["evaluation"]["outcomes"]
    (text,) = sentences(transfer(results))
    assert "evaluate both anew" in text


@pytest.mark.parametrize("method", ["kdiga", "igam"])
def test_every_method_that_matches_a_teacher_is_asked(method):
    results = {"title": "a -> b", "rows": {"x": row("X", HALF, method=method)}}
    assert "No controls of X" in format_table(results)


@pytest.mark.parametrize("method, settings, names", [
    ("igam", {"source": "mnist"}, "natural_teacher,random_teacher,zero,shuffled"),
    ("igam", {"source": "mnist", "matching_distance": "cosine"},
     "natural_teacher,random_teacher,shuffled"),
    ("kdiga", {"source": ""}, "random_teacher,zero,shuffled"),
    ("rrm", {"source": "mnist"}, "natural_teacher,random_teacher"),
    ("rslad", {"source": "mnist", "kdiga_distance": "cosine"},
     "natural_teacher,random_teacher"),
])  # fmt: skip
def test_the_controls_that_it_names_are_those_the_row_has(method, settings, names):
    rows = {"x": row("X", HALF, method=method)}
    results = {"title": "a -> b", "rows": rows, "settings": settings}
    (text,) = sentences(transfer(results))
    assert text.endswith(f"Add --controls={names}.")
    # Settings of its own, in a table of several runs, count.
    rows["x"]["settings"] = {"matching_distance": "cosine"}
    if method == "igam":
        (text,) = sentences(transfer(results))
        assert "zero" not in text
    # Seeds that were recorded before say what they said.
    (entry,) = transfer(results)
    del entry["possible_controls"]
    assert "zero,shuffled" in next(sentences([entry]))


def test_seeds_are_compared_together():
    # Four of forty images are not enough for one seed, nor for two that have the same
    # four; with four others there are eight.
    some, others = [1] * 24 + [0] * 16, [1] * 20 + [0] * 12 + [1] * 4 + [0] * 4
    one, two = table(some, HALF), table(others, HALF)
    assert transfer(one)[0]["comparison"]["decided"] == 0
    (found,) = transfer(one, two)
    assert found["comparison"]["decided"] == 1
    (text,) = sentences([found])
    assert "paired t test, p = 0.0034, 40 images, 2 seeds" in text


@pytest.mark.parametrize(
    "attacks, expected",
    [
        ("clean fgsm apgd-t square pgd20-t", "apgd-t"),
        ("clean fgsm cw100", "cw100"),
        ("apgd-ce pgd100", "apgd-ce"),
        ("pgd20 pgd100 pgd20x10", "pgd20x10"),
        ("autoattack pgd1000 autoattack-plus", "autoattack-plus"),
        ("fgsm square", "square"),
        # In the ball of the evaluation rather than in another, if it is no FGSM.
        ("pgd20 autoattack@l2:0.5", "pgd20"),
        ("clean fgsm autoattack@4/255", "autoattack@4/255"),
        ("clean fgsm", "fgsm"),
        ("clean", None),
    ],
)
def test_the_strongest_attack(attacks, expected):
    assert strongest(attacks.split()) == expected
