"""When the panel's checks warn: by much, and not by chance, on the same images."""

import numpy as np
import pytest

from igam_tf.evaluation.masking import black_box, gradients, outputs, radius, strength
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import clearly_more, decision, exact_mcnemar

pytestmark = pytest.mark.fast


def first(count, total=100):
    return np.arange(total) < count


def test_exact_mcnemar():
    """Ten heads in ten throws: 2^-10. Nine or more of eleven: (55 + 11 + 1) / 2048."""
    assert exact_mcnemar(10, 0) == 2**-10
    assert exact_mcnemar(9, 2) == 67 / 2048
    assert exact_mcnemar(0, 0) == 1 and exact_mcnemar(3, 50) > 0.999


def test_by_much_and_beyond_chance():
    # 10 more of 100: p = 2^-10, just below the level. Of 200 they are too few.
    assert clearly_more(first(10), first(0), at_least=0.1)
    assert not clearly_more(first(10, 200), first(0, 200), at_least=0.1)
    # 9 more of 50 are 18 %, and might be chance.
    assert not clearly_more(first(9, 50), first(0, 50), at_least=0.1)
    # 12 more of 100, but 20 against 8: p = 0.018.
    ours, theirs = first(20), first(28) & ~first(20)
    assert not clearly_more(ours, theirs, at_least=0.1)
    assert not clearly_more(first(0), first(50), at_least=0.1)
    assert not clearly_more(first(5), first(5), at_least=0)
    assert "25%" in decision(0.25) and "0.001" in decision(0.25)


class Told(ModelUnderTest):
    """A model under test, with 100 images, that is told what is robust under attacks.

    Args:
        outcomes: dict from a part of an attack's text to a bool array (100,).
    """

    def __init__(self, **outcomes):
        self.eps, self.norm, self.seed, self.training = 0.1, "linf", 0, False
        self.is_correct = self.is_robust = first(90)
        self.labels = np.zeros(100, np.int32)
        self.images = np.zeros((100, 2, 2, 1), np.float32)
        self.clean_logits = np.zeros((100, 10), np.float32)
        self.outcomes = outcomes

    def _told(self, attack):
        words = {
            "margin": "cw_margin", "clean_start": "random_start=False",
            "pgd100": "num_steps=100", "square": "Square", "larger": "eps=1",
        }  # fmt: skip
        text = repr(attack)
        for name, found in self.outcomes.items():
            if words.get(name, "cross_entropy") in text:
                return found
        raise AssertionError(text)

    def robust_under(self, attack, *, source=None, training=None):
        found = self._told(attack)
        self.is_robust = self.is_robust & found
        return found

    def attack_rows(self, attack, rows, *, source=None):
        self.is_robust = self.is_robust & (self._told(attack) | ~rows)
        return rows & self._told(attack)

    def robust_under_noise(self, num_draws):
        right = np.repeat(self.outcomes["noise"][None], num_draws, axis=0)
        self.is_robust = self.is_robust & right.all(axis=0)
        return right


@pytest.mark.parametrize(
    "size, margin, warns",
    [(3.0, 38, False), (3.0, 18, False), (3.0, 5, True)]
    + [(1e-3, 38, True), (1e-3, 42, False), (500.0, 38, True)],
)
def test_a_margin_that_is_the_better_loss_is_no_mask(size, margin, warns):
    """48 and 38 of 100 is an honest network, unless its logits are of no usual size."""
    tested = Told(margin=first(margin), entropy=first(48))
    tested.clean_logits = np.eye(10, dtype=np.float32)[tested.labels] * size
    check = strength.loss(tested)
    assert check.warns == warns
    assert f"48% robust on the cross entropy and {margin}%" in check.sentence
    assert warns or "the margin is the better loss, by less than" in check.sentence
    assert check.values["median_margin_of_logits"] == pytest.approx(size)
    # The worst case of the panel counts both in any case.
    assert tested.is_robust.sum() == margin


@pytest.mark.parametrize("clean, warns, words", [
    (44, False, "the start does not matter"),
    (49, False, "a random start is the better start, by less than it takes to warn"),
    (30, False, "the image itself is the better start here"),
    (55, True, "the image itself hide the gradient"),
])  # fmt: skip
def test_starting_points(clean, warns, words):
    tested = Told(clean_start=first(clean), pgd20=first(42))
    check = strength.starting_point(tested)
    assert check.warns == warns and words in check.sentence


@pytest.mark.parametrize("found, warns, words", [
    (2, False, "next to nothing"),
    (4, False, "fewer than it takes to warn (5% of the images"),
    (14, True, "gradients are masked"),
])  # fmt: skip
def test_black_box_attacks_that_find_a_few_more(found, warns, words):
    tested = Told(square=first(40 - found))
    tested.is_robust = first(40)
    check = black_box.square(tested)
    assert check.warns == warns and words in check.sentence
    tested = Told(noise=first(40 - found))
    tested.is_robust = first(40)
    check = black_box.noise(tested)
    assert check.warns == warns and check.values["missed"] == found / 100


@pytest.mark.parametrize(
    "cosine, worst, warns, words",
    [
        (0.95, 20, False, "says where the loss rises"),
        (0.4, 40, False, "it finds its way"),
        (0.4, 35, False, "it finds its way"),
        (0.4, 20, True, "may not be robust"),
    ],
)
def test_a_rugged_loss_alone_is_no_mask(cosine, worst, warns, words):
    """A low cosine where PGD-100 and everything else agree: robust MNIST networks."""
    tested = Told(pgd100=first(40))
    ones = np.ones(100, np.float32)
    tested.__dict__["gradients"] = {
        "clean": ones, "random_start": ones, "cosine": cosine * ones,
    }  # fmt: skip
    tested.is_robust = first(worst)
    check = gradients.linearity(tested)
    assert check.warns == warns and words in check.sentence
    assert check.values["missed_by_pgd"] == (40 - worst) / 100


@pytest.mark.parametrize("count, warns", [(1, False), (60, True)])
def test_one_image_is_too_few_to_tell_logits_from_probabilities(count, warns):
    tested = Told()
    tested.clean_logits = np.full((count, 10), 0.3, np.float32)
    check = outputs.logits(tested)
    assert check.warns == warns
    assert warns or "too few to tell" in check.sentence


def test_a_larger_ball_that_does_a_little_worse():
    class Sweep(Told):
        def robust_under(self, attack, *, source=None, training=None):
            return first({0.1: 40, 0.2: self.outcomes["at_two"]}.get(attack.eps, 0))

    assert not radius.radius(Sweep(at_two=46)).warns
    check = radius.radius(Sweep(at_two=60))
    assert check.warns and "the gradient misleads" in check.sentence
