"""AttackBench's optimality on five images, by hand."""

import numpy as np
import pytest

from igam_tf import evaluation

pytestmark = pytest.mark.fast

# One is wrong as it is, and one is never misled.
BEST = [0.0, 1.0, 2.0, 4.0, np.inf]


def test_areas_by_hand():
    """Up to eps 4: the best curve's area is 11 / 5, no attack's is 4 * 4 / 5."""
    assert evaluation.optimality(BEST, BEST) == 1
    nothing = [0.0, *4 * [np.inf]]
    assert evaluation.optimality(nothing, BEST) == pytest.approx(0)
    # 1 farther at one image, and beyond eps 4 at another, which counts as 4.
    behind = [0.0, 2.0, 2.0, 9.0, np.inf]
    assert evaluation.optimality(behind, BEST) == pytest.approx(1 - 1 / 5)
    # Better than what was called the best.
    assert evaluation.optimality([0.0, 0.5, 2.0, 4.0, np.inf], BEST) > 1


def test_the_best_of_several():
    found = evaluation.best_distances(
        {"fmn": np.array([0, 3.0, np.inf]), "ddn": np.array([0, 4.0, 2.0])}
    )
    assert found.tolist() == [0, 3, 2]
    with pytest.raises(ValueError, match="the same images"):
        evaluation.best_distances({"fmn": np.zeros(3), "ddn": np.zeros(2)})
    with pytest.raises(ValueError, match="at least one attack"):
        evaluation.best_distances({})


def test_all_images_at_one_distance():
    assert evaluation.optimality([2.0, 2.0], [2.0, 2.0]) == 1
    assert evaluation.optimality([3.0, 2.0], [2.0, 2.0]) == 0


@pytest.mark.parametrize(
    "distances, best, message",
    [([1.0], [1.0, 2.0], "the same images"), ([0, np.inf], [0, np.inf], "no image")],
)
def test_refusals(distances, best, message):
    with pytest.raises(ValueError, match=message):
        evaluation.optimality(distances, best)
