"""Names of attacks on a command line."""

import subprocess
import sys

import pytest

from igam_tf import attacks
from igam_tf.attacks import names

pytestmark = pytest.mark.fast

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


def test_autoattack_and_its_parts():
    plain = {"eps": 8 / 255, "norm": "l2", "seed": 3}
    for name, attack in {
        "autoattack": attacks.AutoAttack(**plain),
        "autoattack-plus": attacks.AutoAttack(version="plus", **plain),
        "autoattack-rand": attacks.AutoAttack(version="rand", **plain),
        "apgd-ce": attacks.APGD(**plain),
        "apgd-dlr": attacks.APGD(loss="dlr", **plain),
        "apgd-t": attacks.APGD(loss="dlr_targeted", **plain),
        "fab": attacks.FAB(num_targets=0, **plain),
        "fab-t": attacks.FAB(**plain),
        "spsa": attacks.SPSA(**plain),
        "square": attacks.Square(**plain),
        "square200": attacks.Square(num_queries=200, **plain),
        "fmn": attacks.FMN(eps=8 / 255, norm="l2"),
        "fmn-t": attacks.FMN(eps=8 / 255, norm="l2", num_targets=9),
        "fmn50-t": attacks.FMN(eps=8 / 255, norm="l2", num_targets=9, num_steps=50),
        "ddn": attacks.DDN(eps=8 / 255),
        "ddn20": attacks.DDN(eps=8 / 255, num_steps=20),
    }.items():
        assert attacks.parse(name, **SETTINGS) == attack
        names.check(name)


def test_names_are_known_without_tensorflow():
    code = (
        "import sys; from igam_tf.attacks import names; names.check('autoattack'); "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["pgd0", "cw5x0", "square0"])
def test_check_refuses_numbers_of_zero(name):
    with pytest.raises(ValueError, match=f"{name}.*at least 1"):
        names.check(name)


@pytest.mark.parametrize(
    "name", ["pgd", "PGD-20", "apgd", "fab-d", "square-5", "pgd20x", "xpgd20", "", None]
)
def test_unknown_names(name):
    with pytest.raises(ValueError, match=f"{name!r}.*pgdK.*pgd20x5"):
        attacks.parse(name, eps=0.1)


@pytest.mark.parametrize(
    "name, word",
    [
        ("pgd0", "num_steps"),
        ("cw5x0", "num_restarts"),
        ("square0", "num_queries"),
    ],
)
def test_numbers_out_of_range(name, word):
    with pytest.raises(ValueError, match=word):
        attacks.parse(name, eps=0.1)
