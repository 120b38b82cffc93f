"""Attacks with a radius of their own in their name."""

import pytest

from igam_tf import attacks
from igam_tf.attacks import names, radii
from igam_tf.reports.names import attack_title

pytestmark = pytest.mark.fast

SETTINGS = {"eps": 8 / 255, "step_size": 2 / 255, "norm": "linf", "seed": 3}


def test_a_radius_takes_the_place_of_the_evaluations():
    parsed = attacks.parse("pgd20@4/255", **SETTINGS)
    assert parsed == attacks.pgd(eps=4 / 255, step_size=1 / 255, num_steps=20, seed=3)
    # A step of Linf says nothing about L2.
    assert attacks.parse("pgd20x2@l2:0.5", **SETTINGS) == attacks.pgd(
        eps=0.5, norm="l2", num_steps=20, num_restarts=2, seed=3
    )
    assert attacks.parse("autoattack@1/255", **SETTINGS) == attacks.AutoAttack(
        eps=1 / 255, seed=3
    )
    same = attacks.parse("pgd20@linf:8/255", **SETTINGS)
    assert same == attacks.parse("pgd20", **SETTINGS)
    assert attacks.parse("pgd5@0.1", eps=0.0, step_size=0.1) == attacks.pgd(
        eps=0.1, num_steps=5
    )


def test_titles_say_it():
    assert attack_title("autoattack@4/255") == "AutoAttack, 4/255"
    assert attack_title("pgd20x5@l2:0.5") == "PGD-20 x5, L2 0.5"
    assert radii.split("fgsm") == ("fgsm", None, None)


@pytest.mark.parametrize("name", [
    "pgd20@", "pgd20@far", "pgd20@-1", "pgd20@nan", "pgd20@l3:1", "pgd20@l2:",
    "pgd20@:1", "clean@8/255",
])  # fmt: skip
def test_what_is_no_radius_is_refused(name):
    with pytest.raises(ValueError, match="attack '.*expected"):
        names.check(name)
