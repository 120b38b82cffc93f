"""mCE: the errors of a model divided by a baseline's."""

import pytest

from igam_tf.evaluation import relative_corruption_error

pytestmark = pytest.mark.fast


def test_mce_by_hand():
    def result(**kinds):
        return {
            "severities": [1, 2],
            "kinds": {name: {"accuracy": value} for name, value in kinds.items()},
        }

    base = result(fog=0.5, contrast=0.8)
    found = result(fog=0.75, contrast=0.7)
    # (0.25 / 0.5 + 0.3 / 0.2) / 2
    assert relative_corruption_error(found, base) == pytest.approx(1.0)
    assert relative_corruption_error(found, base, ["fog"]) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="no error under fog"):
        relative_corruption_error(found, result(fog=1.0, contrast=0.8))
    with pytest.raises(ValueError, match="only the first has contrast"):
        relative_corruption_error(found, result(fog=0.5))
    with pytest.raises(ValueError, match="severities of the two results"):
        relative_corruption_error(found, {**base, "severities": [1, 3]})
    assert relative_corruption_error(
        found, {**base, "severities": [2, 1]}
    ) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "kinds, named",
    [
        (["fogg"], "fogg"), (["fog", "snow"], "fog, snow"), (["frost"], "frost"),
        ([], "none"), (["fog", "fog"], "fog, fog"), ("fogg", "fogg"),
    ],
)  # fmt: skip
def test_kinds_of_mce_that_are_not_there(kinds, named):
    """In neither, in one of the two, none, twice, and a text for a list."""
    found, base = (
        {"severities": [1], "kinds": dict.fromkeys(names, {"accuracy": 0.5})}
        for names in (("fog", "snow", "contrast"), ("fog", "frost", "contrast"))
    )
    message = f"kinds are {named}: expected some .* once: fog, contrast."
    with pytest.raises(ValueError, match=message):
        relative_corruption_error(found, base, kinds)
    assert relative_corruption_error(found, base, "fog") == pytest.approx(1.0)
