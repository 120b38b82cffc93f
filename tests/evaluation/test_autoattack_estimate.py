"""What AutoAttack will take, told after its second chunk of steps."""

import pytest

from igam_tf.attacks.autoattack import Progress
from igam_tf.evaluation.progress import Estimate


def after(seconds, passes, passes_left, num_images=500):
    return Progress(
        attack="apgd-ce", run=1, num_runs=1, step=5, num_steps=100, num_robust=300,
        num_images=num_images, fraction=0.0, seconds=seconds, seconds_left=0.0,
        passes=passes, passes_left=1e9, passes_expected=passes_left,
    )  # fmt: skip


def test_by_hand():
    """100 passes in 2 s; 500 images need 60,000: 1,200 s, and twice that for 1,000."""
    estimate = Estimate(1000)
    # The first chunk compiles for a minute, which nothing else will.
    assert estimate.sentence(after(60.0, 100.0, 59_900.0), 0) == ""
    said = estimate.sentence(after(62.0, 200.0, 59_800.0), 0)
    assert "about 40 min for 1,000 images" in said
    assert "for 100 (--max_examples=100;" in said and said.endswith(": 4 min.")
    # Once.
    assert estimate.sentence(after(64.0, 300.0, 59_700.0), 0) == ""


@pytest.mark.parametrize(
    "target, done, words",
    [
        (None, 0, "about 40 min for 1,000 images"),
        (10_000, 0, "about 6.7 h for 10,000 images"),
        (10_000, 9_000, "about 40 min for 1,000 images"),
        (60, 0, ""),
    ],
)
def test_for_all_that_is_left(target, done, words):
    estimate = Estimate(target)
    estimate.sentence(after(60.0, 100.0, 59_900.0), done)
    said = estimate.sentence(after(62.0, 200.0, 59_800.0), done)
    assert words in said and bool(said) == bool(words)
