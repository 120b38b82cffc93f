"""Results of held-out training images say so, and are compared with no test results."""

import copy
import json

import pytest

from igam_tf.cards.sharing import metadata
from igam_tf.cards.text import format_card
from igam_tf.cli.compare import format_comparison
from igam_tf.evaluation import compare
from igam_tf.evaluation.comparison import compare_evaluations
from igam_tf.evaluation.outcomes import packed
from igam_tf.reports import format_table
from tools import claims, readme_tables, seeds_summary

pytestmark = pytest.mark.fast

WORDS = "4 held-out training images"


def _results(held_out=True):
    bits = packed([1, 1, 0, 0])
    evaluation = {
        "attacks": {"pgd20": {"accuracy": 0.5, "interval_95": [0.1, 0.9]}},
        "outcomes": {"images": "a", "correct": {"pgd20": bits}},
        "threat_model": "Linf",
        "eps": 0.1,
        "step_size": 0.02,
        "batch_norm": "inference",
        "seed": 0,
        "num_examples": 4,
        **({"held_out_fraction": 0.1} if held_out else {}),
    }
    row = {"label": "Standard", "evaluation": evaluation}
    return {"title": "a -> b", "rows": {"standard": row}, "settings": {}}


def _evaluation(held_out=True):
    return _results(held_out)["rows"]["standard"]["evaluation"]


def test_table_and_comparison_say_so():
    assert WORDS in format_table(_results())
    assert "4 test images" in format_table(_results(False))
    found = compare_evaluations(_evaluation(), _evaluation())
    assert WORDS in format_comparison({**found, "first": "a", "second": "b"})


def test_they_are_not_compared_with_test_results(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="the second of test images"):
        compare(_evaluation(), _evaluation(False), "pgd20")
    with pytest.raises(ValueError, match="held-out training images"):
        readme_tables.run_table(_results(), _results(False))
    (tmp_path / "table1_small.json").write_text(json.dumps(_results()))
    monkeypatch.setattr(claims, "RESULTS", tmp_path)
    with pytest.raises(ValueError, match="claims need test images"):
        claims.read("small")
    both = {"a": [(tmp_path, _results())], "b": [(tmp_path, _results(False))]}
    with pytest.raises(ValueError, match="on the same images"):
        seeds_summary.summarise(both, [0], {"a": (), "b": ()})
    record = seeds_summary.summarise({"": both["a"]}, [0], {})
    assert WORDS in seeds_summary.table(record)


def test_the_card_says_so_and_reads_them_again():
    found = copy.deepcopy(_evaluation())
    del found["outcomes"]
    entry = found["attacks"]["pgd20"]
    card = {
        "method": {"name": "standard", "label": "Standard"},
        "task": {"name": "cifar10", "source": "cifar100", "num_classes": 10,
                 "input_shape": [32, 32, 3]},
        "num_parameters": 1,
        "results": {**found, "worst_case": None, "panel": None, "warnings": [],
                    "attacks": {"pgd20": entry}},
        "training": {"seconds": None, "train_examples": None, "teacher_seconds": None},
        "settings": {"split_seed": 3},
        **dict.fromkeys(("machine", "git_revision", "versions", "changes")),
    }  # fmt: skip
    text = format_card(card)
    assert WORDS in text
    assert 'igam_tf.data.read("cifar10", data_dir, test_examples=1)' in text
    assert "igam_tf.data.hold_out(\n    task, 0.1, seed=3, test_examples=4\n)" in text
    dataset = metadata(card)["model-index"][0]["results"][0]["dataset"]
    assert dataset["split"] == "train" and "held-out" in dataset["name"]
