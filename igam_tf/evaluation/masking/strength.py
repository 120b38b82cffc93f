"""Gradient attacks against each other: a stronger one must not do worse."""

import numpy as np

from igam_tf import attacks
from igam_tf.evaluation.masking.check import Check, is_negligible, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import clearly_more, decision

STEPS = (1, 5, 20, 100)
# Of all images; measured on honest networks and on masks (tools/panel_false_alarms).
_SHARE = 0.1
# A margin is simply the better loss on many honest networks, by up to 30 points on 50
# images. It is a sign where logits are so large or small that the cross entropy is flat
# or weighs all classes alike, and where it is blind outright.
_USUAL_MARGINS = (0.05, 50.0)
_BLIND_SHARE = 0.4


def steps(tested: ModelUnderTest) -> Check:
    """PGD with 1, 5, 20 and 100 steps: each must do as well as the one before."""
    robust = {k: tested.robust_under(_pgd(tested, num_steps=k)) for k in STEPS}
    misled, better = [], None
    for few, many in zip(STEPS[:-1], STEPS[1:], strict=True):
        a, b = robust[few], robust[many]
        if clearly_more(b, a, at_least=_SHARE):
            misled.append((few, many))
    before, after = robust[STEPS[-2]], robust[STEPS[-1]]
    if clearly_more(before, after, at_least=_SHARE):
        better = share(before) - share(after)
    if misled:
        few, many = misled[-1]
        sentence = (
            f"PGD-{many} leaves {share(robust[many]):.0%} of the images robust, "
            f"PGD-{few} only {share(robust[few]):.0%}: more steps do worse, so the "
            "gradient misleads the attack, and the robust accuracy is below both."
        )
    elif better:
        sentence = (
            f"PGD-{STEPS[-1]} takes another {better:.0%} of the images after "
            f"PGD-{STEPS[-2]}: the attack has not converged, and more steps would take "
            "more; report no number of few steps."
        )
    else:
        sentence = _without_warning(robust)
    return Check(
        name="pgd_steps",
        values={f"pgd{k}": share(mask) for k, mask in robust.items()},
        threshold=decision(_SHARE),
        warns=bool(misled or better),
        sentence=sentence,
        source="Athalye et al. 2018; Carlini et al. 2019",
    )


def starting_point(tested: ModelUnderTest) -> Check:
    """PGD-20 from the clean image and from a random start in the ball."""
    clean = tested.robust_under(_pgd(tested, random_start=False))
    random = tested.robust_under(_pgd(tested))
    values = {"clean_start": share(clean), "random_start": share(random)}
    warns = clearly_more(clean, random, at_least=_SHARE)
    sentence = (
        f"PGD-20 leaves {share(clean):.0%} robust when it starts at the clean image "
        f"and {share(random):.0%} from a random start: "
    ) + (
        "the surroundings of the image itself hide the gradient; numbers of FGSM and "
        "of attacks without a random start do not count."
        if warns
        else _compared(
            clean, random, _SHARE, "a random start", "the image itself", "start"
        )
    )
    return Check(
        name="starting_point",
        values=values,
        threshold=decision(_SHARE),
        warns=warns,
        sentence=sentence,
        source="Tramer et al. 2018; Carlini et al. 2019",
    )


def loss(tested: ModelUnderTest) -> Check:
    """PGD-20 on the cross entropy and on the margin between logits."""
    entropy = tested.robust_under(_pgd(tested))
    margin = tested.robust_under(_pgd(tested, loss="cw_margin"))
    size = _median_margin(tested)
    is_unusual = not _USUAL_MARGINS[0] <= size <= _USUAL_MARGINS[1]
    least = _SHARE if is_unusual else _BLIND_SHARE
    warns = clearly_more(entropy, margin, at_least=least)
    sentence = (
        f"PGD-20 leaves {share(entropy):.0%} robust on the cross entropy and "
        f"{share(margin):.0%} on the margin of the logits: "
    ) + (
        "the cross entropy hides what the logits show (are they very large or "
        "very small?); numbers of attacks on it alone do not count."
        if warns
        else _compared(
            entropy, margin, least, "the margin", "the cross entropy", "loss"
        )
    )
    return Check(
        name="loss_function",
        values={
            "cross_entropy": share(entropy),
            "margin": share(margin),
            "median_margin_of_logits": size,
        },
        threshold=decision(least),
        warns=warns,
        sentence=sentence,
        source="Carlini & Wagner 2017; Croce & Hein 2020",
    )


def _without_warning(robust):
    """The sentence of `steps` where it does not warn, from what is robust by steps."""
    counts = [share(robust[k]) for k in STEPS]
    worse = max(b - a for a, b in zip(counts[:-1], counts[1:], strict=True))
    gained = counts[-2] - counts[-1]
    if is_negligible(max(worse, gained, 0)):
        return "more steps of PGD do no worse, and 100 do as 20: it has converged."
    found = (
        f"PGD-{STEPS[-1]} takes another {gained:.0%} of the images after "
        f"PGD-{STEPS[-2]}: it may not have converged"
        if gained >= worse
        else f"more steps of PGD leave up to {worse:.0%} of the images more robust"
    )
    return f"{found}, but that is less than it takes to warn ({decision(_SHARE)})."


def _compared(first, second, least, second_name, first_name, what):
    """The end of a sentence about two attacks, where it does not warn."""
    gained = share(first) - share(second)
    if is_negligible(gained):
        return f"the {what} does not matter."
    if gained < 0:
        return f"{first_name} is the better {what} here."
    asked = decision(least)
    return (
        f"{second_name} is the better {what}, by less than it takes to warn ({asked})."
    )


def longest(tested: ModelUnderTest) -> np.ndarray:
    """What is robust to PGD with the most steps: bool array (n,)."""
    return tested.robust_under(_pgd(tested, num_steps=STEPS[-1]))


def _median_margin(tested):
    """Distance between the two largest logits of the images that are right."""
    largest = np.sort(tested.clean_logits[tested.is_correct], axis=1)[:, -2:]
    # Where nothing is right, nothing is hidden.
    return float(f"{np.median(np.diff(largest)):.4g}") if len(largest) else 1.0


def _pgd(tested, **kwargs):
    return attacks.pgd(step_size=tested.eps / 4, **tested.ball, **kwargs)
