"""Larger and larger balls: in one that holds every image no classifier is right."""

import math

from igam_tf import attacks
from igam_tf.attacks.fractions import fraction
from igam_tf.evaluation.decisions import clearly_more
from igam_tf.evaluation.panel.check import Check, share

_STANDING = 0.05
_RISE = 0.1
_FACTOR = 2


def radius(subject):
    """PGD-20 at eps, 2 eps, 4 eps, ... until nothing stands or the ball is everything.

    Linf 1 (L2: the diagonal of the cube) turns any image into any other.
    """
    largest = 1.0 if subject.norm == "linf" else math.sqrt(subject.images[0].size)
    accuracies, rises, before = {}, None, subject.is_correct
    eps = subject.eps
    while True:
        eps = min(eps, largest)
        ball = {**subject.ball, "eps": eps}
        stands = subject.withstands(attacks.pgd(step_size=eps / 4, **ball))
        accuracies[fraction(eps)] = share(stands)
        if clearly_more(stands, before, at_least=_RISE):
            rises = fraction(eps)
        before = stands
        if not stands.any() or eps == largest:
            break
        eps *= _FACTOR
    return _check(accuracies, rises, everything=eps == largest)


def _check(accuracies, rises, everything):
    first, last = next(iter(accuracies)), next(reversed(accuracies))
    never_falls = everything and accuracies[last] > _STANDING
    if never_falls:
        sentence = (
            f"at eps {last}, where any image may become any other, PGD-20 still leaves "
            f"{accuracies[last]:.0%} standing: no classifier is robust there, so the "
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
        threshold=_STANDING,
        warns=never_falls or rises,
        sentence=sentence,
        source="Athalye et al. 2018; Carlini et al. 2019",
    )
