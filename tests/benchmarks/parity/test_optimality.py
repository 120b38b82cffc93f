"""The table of attacks against the best known point, from distances given by hand."""

import numpy as np
import pytest

from benchmarks.parity import optimality
from tools import optimality_table

pytestmark = pytest.mark.fast


def entry(**attacks):
    """Of a network in L2, whose first of four images is misclassified as it is."""
    return {
        "network": "net", "dataset": "mnist", "norm": "l2", "num_images": 4,
        "num_classes": 10, "num_parameters": 1234, "processor": "EPYC", "threads": 1,
        "attacks": {
            name: {"distances": distances, "passes_an_image": passes, "seconds": 30.0}
            for name, (distances, passes) in attacks.items()
        },
    }  # fmt: skip


NET = entry(
    far=([0, 2.0, 1.5, None], [20, 20]), near=([0, 1.0, 2.0, 4.0], [1001, 1000])
)


def test_rows_are_in_the_order_of_their_optimality():
    found = optimality_table.compared(NET)
    # Best: 1, 1.5 and 4. Area 6.5 / 4 of 12 / 4 at most; 7 / 4 and 7.5 / 4 are theirs.
    values = [row["optimality"] for row in found["rows"]]
    assert values == pytest.approx([1 - 0.5 / 5.5, 1 - 1 / 5.5])
    assert [row["num_best"] for row in found["rows"]] == [2, 1]
    assert [row["num_found"] for row in found["rows"]] == [3, 2]
    assert found["num_correct"] == 3 and found["median_of_best"] == 1.5


def test_tables():
    """Spaces aside."""
    text = " ".join(optimality_table.of_one(NET).split())
    assert "| near | 0.909 | 2.0 | 2 | 1,001 + 1,000 |" in text
    text = optimality_table.table({"net_l2": NET})
    assert text.startswith("L2:\n\n|  ")
    text = " ".join(text.split())
    assert "| best known, median | 1.5 |" in text
    assert "| near | 0.909 (2; 1,001 + 1,000) |" in text
    assert "net 3 of 4 images of mnist (10 classes, 1,234 parameters)" in text
    assert text.endswith("- Measured on EPYC, 1 thread.")


def test_every_norm_has_its_attacks():
    assert "DDN" in optimality.searches("l2") and "DDN" not in optimality.searches("l1")
    for norm in optimality.NORMS:
        assert {attack.norm for attack in optimality.searches(norm).values()} == {norm}


def test_an_eps_is_searched_image_by_image():
    """An attack that needs 0.01, 0.3 and more than there is, at 2 passes an image."""
    needed = np.array([0.01, 0.3, 2.0, 0.5])
    wrong = np.array([False, False, False, True])
    images = np.linspace(0, 0.3, 4 * 6, dtype=np.float32).reshape(4, 2, 3, 1)
    calls = []

    def attack(eps, some, labels):
        calls.append(len(some))
        misled = needed[labels] <= eps
        moved = some + np.float32(eps) * misled.reshape(-1, 1, 1, 1)
        return moved, misled, np.array([2, 1]) * len(some)

    found, passes = optimality.nearest_eps(attack, images, np.arange(4), wrong, "linf")
    ratio = 2 ** (optimality.OCTAVES / 2**optimality.HALVINGS)
    assert found[2] == np.inf and found[3] == 0
    assert (found[:2] >= needed[:2] * (1 - 1e-5)).all()
    assert (found[:2] <= needed[:2] * ratio * (1 + 1e-5)).all()
    # Of one series: the first one is the same for all, and all are halved as often.
    assert calls[0] == 3 and sum(calls) == 3 * optimality.HALVINGS
    assert passes.tolist() == [2 * optimality.HALVINGS, optimality.HALVINGS]


def test_lengths():
    change = np.array([[[[3.0]], [[-4.0]]]])
    lengths = [optimality.length(change, norm)[0] for norm in ("linf", "l2", "l1")]
    assert lengths == [4, 5, 7]
