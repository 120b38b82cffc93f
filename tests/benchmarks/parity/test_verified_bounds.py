"""The table of verified bounds from results by hand; no network is trained."""

import json

import pytest

from benchmarks.parity import verified_bounds
from tools import verified_table

pytestmark = pytest.mark.fast


def row(network, eps, *, clean, autoattack, verified):
    attacks = {"clean": {"accuracy": clean}, "autoattack": {"accuracy": autoattack}}
    evaluation = {
        "eps": eps, "num_examples": 50, "threat_model": "Linf", "attacks": attacks,
        "verified": {"accuracy": verified},
    }  # fmt: skip
    return {"network": network, "evaluation": evaluation}


def test_the_table_by_hand():
    """Rows are those of eps in order, columns those of networks as they came."""
    rows = [
        row("plain", 0.1, clean=0.98, autoattack=0.4, verified=0.02),
        row("plain", 0.03, clean=0.98, autoattack=0.94, verified=0.92),
        row("IGAM", 0.03, clean=0.96, autoattack=0.9, verified=0.88),
        row("IGAM", 0.1, clean=0.96, autoattack=0.5, verified=0.1),
    ]
    result = {
        "command": "python a.py", "processor": "EPYC",
        "rows": dict(enumerate(rows)),
    }  # fmt: skip
    lines = [" ".join(x.split()) for x in verified_table.table(result).splitlines()]
    assert [line for line in lines if line.startswith("|")][2:] == [
        "| clean | 98 | 96 |",
        "| 0.03 | 92 to 94 | 88 to 90 |",
        "| 0.1 | 2 to 40 | 10 to 50 |",
    ]
    assert lines[0] == "| eps | plain: verified to AutoAttack | " + (
        "IGAM: verified to AutoAttack |"
    )
    assert lines[-2].startswith("- Percent of 50 digits, Linf;")
    assert lines[-1] == "- `python a.py`, EPYC, one thread."


def test_results_of_other_options_are_refused(tmp_path):
    path = tmp_path / "found.json"
    path.write_text(json.dumps({"command": "that --examples=9", "rows": {}}))
    with pytest.raises(ValueError, match="what `that --examples=9` made, not `python"):
        verified_bounds.main([f"--out={path}", "--examples=7"])
