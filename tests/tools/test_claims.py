"""Claims of the paper: verdicts by hand, and that every row they name exists."""

import pathlib

import pytest

from igam_tf.cli import recipes
from tools import claims

pytestmark = pytest.mark.fast

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def _table(**rows):
    """Rows with (accuracy, low, high) under PGD-20."""
    return {
        "rows": {
            name.replace("_", "-"): {
                "evaluation": {
                    "attacks": {
                        "pgd20": {"accuracy": a, "interval_95": [low, high]},
                        "autoattack": {"accuracy": a / 2, "interval_95": [0.0, 1.0]},
                    }
                }
            }
            for name, (a, low, high) in rows.items()
        }
    }


@pytest.mark.parametrize("interval, verdict", [
    ((0.30, 0.25, 0.35), "holds"),
    ((0.10, 0.05, 0.15), "does not hold"),
    ((0.22, 0.17, 0.27), "undecided"),
])  # fmt: skip
def test_verdicts(interval, verdict):
    tables = {"table1": _table(igam_mnist=interval, ft_mnist=(0.20, 0.16, 0.24))}
    claim = claims.Claim("above", ("table1", "igam-mnist"), ("table1", "ft-mnist"))
    assert claims.compare(tables, claim, "pgd20") == (interval[0], 0.20, verdict)
    assert claims.compare(tables, claim, "pgd100") is None
    row = next(
        r for r in claims.rows_of(tables) if r[0] == "IGAM is more robust than FT"
    )
    assert row[4:] == [
        f"{100 * interval[0]:.1f}", "20.0", verdict,
        f"{50 * interval[0]:.1f} / 10.0, undecided",
    ]  # fmt: skip


def test_the_terms_are_compared_with_the_first_row_of_their_sweep():
    sweep = _table(lambda_diff_0=(0.1, 0, 0.15), lambda_diff_10=(0.3, 0.25, 0.4))
    (claim,) = claims.additive({"table4": sweep})
    assert (claim.higher[1], claim.lower[1]) == ("lambda-diff-10", "lambda-diff-0")


def test_every_row_that_a_claim_names_exists():
    names = {}
    for name in ("table1", "table2", "table3", "figure5"):
        flags = [f"--flagfile={REPOSITORY}/flags/{name}.cfg", "--size=small"]
        names[name] = {row.name for row in recipes.parse(flags)[0].rows}
    for claim in claims.CLAIMS:
        for table, row in (claim.higher, claim.lower):
            assert row in names[table]
    found = {"figure5": {"rows": dict.fromkeys(names["figure5"])}}
    for claim in claims.figure5(found):
        assert {claim.higher[1], claim.lower[1]} <= names["figure5"]
