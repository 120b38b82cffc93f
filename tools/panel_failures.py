"""Networks that hide, which the masking panel must not let pass: those of the tests."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "evaluation")]

import test_held_out_failures as held_out
import test_planted_failures as planted


def failures():
    """Dict from name to (function that makes it, eps, images, labels, meant checks)."""
    found = {}
    for make, _, cause, _ in planted.FAILURES:
        found[make.__name__] = (make, planted.EPS, *planted.examples(), {cause})
    for make in (planted.planted.labels_only, planted.planted.rounded_logits):
        meant = {"vanishing_gradients", "spsa"}
        found[make.__name__] = (make, planted.EPS, *planted.examples(), meant)
    for make, meant in held_out.FAILURES.items():
        found[make.__name__] = (make, held_out.EPS, *held_out.examples(), set(meant))
    return found
