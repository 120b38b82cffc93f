"""Sizes of perturbations, as people write them and as they are read."""

import pytest

from igam_tf.attacks.fractions import fraction, parse_fraction

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "text, value",
    [
        ("8/255", 8 / 255),
        ("0.5/255", 0.5 / 255),
        ("1/2.5", 0.4),
        ("1e-3/2", 0.0005),
        ("0.03", 0.03),
        (" 8 / 255 ", 8 / 255),
        ("-1/4", -0.25),
        ("0/255", 0.0),
        ("1e-400000000", 0.0),
        (0.1, 0.1),
        (3, 3.0),
    ],
)
def test_what_is_a_number(text, value):
    assert parse_fraction(text) == value


@pytest.mark.parametrize(
    "text",
    ["", "eight", "8/0", "1e400", "1e400000000", "inf", "nan", "1/2/3", "8/"]
    + ["1/1e400"],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="expected a finite number such as 8/255"):
        parse_fraction(text)


def test_both_ways():
    for value in (8 / 255, 0.15, 2 / 255, 0.0314):
        assert parse_fraction(fraction(value)) == pytest.approx(value, rel=1e-5)
