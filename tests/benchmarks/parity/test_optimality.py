"""The table of attacks against the best known point, from distances given by hand."""

import numpy as np
import pytest

from benchmarks.parity import optimality

pytestmark = pytest.mark.fast


def test_rows_are_in_the_order_of_their_optimality():
    near, far = np.array([0, 1.0, 2.0, 4.0]), np.array([0, 2.0, 1.5, np.inf])
    found = {"far": (far, [20, 20], 1.0), "near": (near, [101, 100], 2.0)}
    result = optimality.compared(found)
    # Best: 1, 1.5 and 4. Area 6.5 / 4 of 12 / 4 at most; 7 / 4 and 7.5 / 4 are theirs.
    assert [row["optimality"] for row in result["rows"]] == [0.9091, 0.8182]
    assert result["num_correct"] == 3 and result["median_of_best"] == 1.5
    text = optimality.table("net", "l2", result)
    assert "| near | 0.909 | 2.0 | 2 | 101 + 100 |" in text
    assert "| far | 0.818 | 2.0 | 1 | 20 + 20 |" in text


def test_every_norm_has_its_attacks():
    assert "DDN" in optimality.searches("l2") and "DDN" not in optimality.searches("l1")
    for norm in optimality.NORMS:
        assert {attack.norm for attack in optimality.searches(norm).values()} == {norm}
