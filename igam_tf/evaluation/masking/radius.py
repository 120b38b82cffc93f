"""Larger and larger balls: in one that holds every image no classifier is right."""

import math

from igam_tf import attacks
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.masking.check import Check, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import clearly_more

_ROBUST = 0.05
_RISE = 0.1
_FACTOR = 2


def radius(tested: ModelUnderTest) -> Check:
    """PGD-20 at eps, 2 eps, 4 eps, ... until nothing is robust, or all is in the ball.

    Linf 1 (L2: the diagonal of the cube) turns any image into any other.
    """
    largest = 1.0 if tested.norm == "linf" else math.sqrt(tested.images[0].size)
    accuracies, rises, before = {}, None, tested.is_correct
    eps = tested.eps
    while True:
        eps = min(eps, largest)
        ball = {**tested.ball, "eps": eps}
        robust = tested.robust_under(attacks.pgd(step_size=eps / 4, **ball))
        accuracies[fraction(eps)] = share(robust)
        if clearly_more(robust, before, at_least=_RISE):
            rises = fraction(eps)
        before = robust
        if not robust.any() or eps == largest:
            break
        eps *= _FACTOR
    return _check(accuracies, rises, everything=eps == largest)


def _check(accuracies, rises, everything):
    first, last = next(iter(accuracies)), next(reversed(accuracies))
    never_falls = everything and accuracies[last] > _ROBUST
    if never_falls:
        sentence = (
            f"at eps {last}, where any image may become any other, PGD-20 still leaves "
            f"{accuracies[last]:.0%} robust: no classifier is robust there, so the "
            "attack fails and gradients are masked."
        )
    elif rises:
        sentence = (
            f"PGD-20 does worse at eps {rises} than at half of it: the smaller ball "
            "lies in the larger one, so the gradient misleads the attack."
        )
    else:
        sentence = (
            f"accuracy falls from {accuracies[first]:.0%} at eps {first} to "
            f"{accuracies[last]:.0%} at eps {last}: with room enough the attack wins."
        )
    return Check(
        name="eps_sweep",
        values=accuracies,
        threshold=_ROBUST,
        warns=never_falls or rises,
        sentence=sentence,
        source="Athalye et al. 2018; Carlini et al. 2019",
    )
