"""Names of attacks on a command line."""

import pytest

from igam_tf import attacks

SETTINGS = {"eps": 8 / 255, "step_size": 1 / 255, "norm": "l2", "seed": 3}


def test_known_names():
    assert attacks.parse("clean", **SETTINGS) is None
    assert attacks.parse("fgsm", **SETTINGS) == attacks.fgsm(eps=8 / 255, norm="l2")
    assert attacks.parse("pgd20", **SETTINGS) == attacks.pgd(num_steps=20, **SETTINGS)
    assert attacks.parse("pgd7x5", **SETTINGS) == attacks.pgd(
        num_steps=7, num_restarts=5, **SETTINGS
    )
    assert attacks.parse("cw40", **SETTINGS) == attacks.pgd(
        num_steps=40, loss="cw_margin", **SETTINGS
    )


def test_defaults_are_those_of_pgd():
    assert attacks.parse("pgd20", eps=0.1) == attacks.pgd(eps=0.1, num_steps=20)


@pytest.mark.parametrize(
    "name", ["pgd", "PGD-20", "apgd", "pgd20x", "xpgd20", "", None]
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"{name!r}.*pgdK.*pgd20x5"):
        attacks.parse(name, eps=0.1)


@pytest.mark.parametrize(
    "name, word", [("pgd0", "num_steps"), ("cw5x0", "num_restarts")]
)
def test_numbers_out_of_range(name, word):
    with pytest.raises(ValueError, match=word):
        attacks.parse(name, eps=0.1)
