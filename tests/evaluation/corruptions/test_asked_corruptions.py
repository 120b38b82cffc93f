"""Which corruptions may be asked for, by name or as a folder."""

import pytest

from igam_tf.evaluation import Corruptions
from igam_tf.evaluation.corruptions.names import PAPER

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    "asked, message",
    [
        ("nowhere/", "there is no such folder"),
        ("fogg", "corruption 'fogg'"),
        ("all,fog", "expected 'all', one folder"),
        ("fog,fog", "each name once"),
        ("FILES,snow", "snow.npy"),
        (Corruptions(kinds=("fog",), severities=(1,)), ""),
    ],
)
def test_what_may_be_asked_for(tmp_path, asked, message):
    for name in ("labels", "fog", "brightness"):
        (tmp_path / f"{name}.npy").touch()
    if not message:
        assert Corruptions.parse(asked) is asked
        return
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Corruptions.parse(asked.replace("FILES", str(tmp_path)))
    assert Corruptions.parse("all").chosen == tuple(
        kind for kind in PAPER
        if kind not in ("snow", "frost")
    )  # fmt: skip
