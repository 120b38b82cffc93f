"""What a run's table says of the masking panel."""

import pytest

from igam_tf.reports import format_table
from igam_tf.reports.table import attack_title

pytestmark = pytest.mark.fast


def row(label, *, accuracy, worst, warns=(), modes=None):
    checks = {name: {"sentence": "it hides.", "values": {}} for name in warns}
    if modes:
        values = {mode: {"pgd20": number} for mode, number in modes.items()}
        checks["batch_norm"] = {"sentence": "so much.", "values": values}
    evaluation = {
        "attacks": {"pgd20": {"accuracy": accuracy, "interval_95": [0.1, 0.2]}},
        "worst_case": {"accuracy": worst},
        "threat_model": "Linf",
        "eps": 0.1,
        "batch_norm": "inference",
        "seed": 0,
        "num_examples": 100,
        "warnings": ["it hides." for _ in warns],
        "panel": {"warns": list(warns), "checks": checks},
    }
    return {"label": label, "evaluation": evaluation}


def test_lines_of_the_panel():
    rows = {
        "standard": row("Standard", accuracy=0.0, worst=0.0),
        "igam": row(
            "IGAM",
            accuracy=0.4,
            worst=0.25,
            warns=["square"],
            modes={"inference": 0.4, "batch": 0.55},
        ),
    }
    lines = format_table({"title": "t", "rows": rows}).splitlines()
    assert "- Masking panel, no warning: Standard." in lines
    assert "- Under all attacks and the panel's together: IGAM 25.0." in lines
    assert "- Warning, IGAM: it hides." in lines
    (both,) = [line for line in lines if "statistics of each batch, PGD-20" in line]
    assert both.endswith("IGAM 40 / 55.")


@pytest.mark.parametrize("name, said", [
    ("pgd20@0.2", True), ("pgd20@l2:0.05", True), ("pgd20@0.1", False),
])  # fmt: skip
def test_the_worst_case_beside_columns_of_other_balls(name, said):
    """They take more than the worst case of a ball of 0.1 because they are larger."""
    rows = {"igam": row("IGAM", accuracy=0.4, worst=0.25)}
    attacks = rows["igam"]["evaluation"]["attacks"]
    attacks[name] = {**attacks["pgd20"], "accuracy": 0.05}
    text = format_table({"title": "t", "rows": rows})
    assert ("together: IGAM 25.0" in text) == said


def test_no_column_of_times_that_nobody_knows():
    rows = {"model": row("model", accuracy=0.3, worst=0.3)}
    head = format_table({"title": "t", "rows": rows}).splitlines()[2]
    assert head == "| Model | PGD-20 |"


@pytest.mark.parametrize(
    "name, title",
    [
        ("autoattack", "AutoAttack"),
        ("apgd-ce", "APGD-CE"),
        ("fab-t", "FAB-T"),
        ("spsa", "SPSA"),
        ("square", "Square"),
        ("square500", "Square-500"),
        ("pgd20x5", "PGD-20 x5"),
    ],
)
def test_titles(name, title):
    assert attack_title(name) == title
