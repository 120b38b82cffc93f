"""Does the loss have a gradient that an attack can follow?"""

import numpy as np

from igam_tf.evaluation.masking.check import Check, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.masking.strength import longest
from igam_tf.evaluation.statistics import clearly_more

# float32 ends at 1e-38: below this, parts of the gradient are lost on the way.
TINY = 1e-30
_TINY_SHARE = 0.1
# Most networks, plain and robust, have 0.9 and more at robust images; some robust
# ones of MNIST, whose first layer is a threshold, have 0.4, and their attacks agree.
_COSINE = 0.5
_MISSED = 0.1
_FEW_IMAGES = 5


def vanishing(tested: ModelUnderTest) -> Check:
    """Zero, NaN and tiny gradients, at the image and a random step away from it."""
    values, worst = {}, {"zero": 0.0, "nan": 0.0, "tiny": 0.0}
    for place in ("clean", "random_start"):
        # Images that are wrong anyway need no gradient.
        largest = tested.gradients[place][tested.is_correct]
        if not len(largest):
            largest = np.ones(1)
        values[place] = {
            "zero": share(largest == 0),
            "nan": share(~np.isfinite(largest)),
            "tiny": share((largest > 0) & (largest < TINY)),
        }
        worst = {kind: max(worst[kind], values[place][kind]) for kind in worst}
    threshold = {"zero": 0.0, "nan": 0.0, "tiny": _TINY_SHARE}
    return Check(
        name="vanishing_gradients",
        values=values,
        threshold=threshold,
        warns=any(worst[kind] > threshold[kind] for kind in worst),
        sentence=_vanishing_sentence(values, worst),
        source="Athalye et al. 2018; Croce & Hein 2020 (AutoAttack warns of any zero)",
    )


def linearity(tested: ModelUnderTest) -> Check:
    """Gradients at a robust image and a random step away from it: do they agree?

    Gradient alignment, which is 1 for a loss that is linear in the ball. Where it is
    low and nothing finds more than PGD of many steps does, the attack did well all the
    same.
    """
    found = tested.gradients
    # Where there is no gradient at all the other check says so.
    has_gradient = (found["clean"] > 0) & (found["random_start"] > 0)
    cosine = found["cosine"][tested.is_robust & has_gradient]
    few = len(cosine) < _FEW_IMAGES
    mean = None if few else round(float(np.mean(cosine)), 4)
    rugged = mean is not None and not mean >= _COSINE
    # Last of the checks with a gradient: everything else has had its try.
    robust = longest(tested)
    missed = share(robust & ~tested.is_robust)
    warns = rugged and clearly_more(robust, tested.is_robust, at_least=_MISSED)
    if few:
        sentence = (
            f"only {len(cosine)} images are robust and have a gradient: too few to ask "
            "whether the loss around them is linear."
        )
    else:
        sentence = (
            "around the images that are robust, gradients at the image and a random "
            f"step away have a cosine of {mean:.2f}"
        )
        sentence += _ruggedness(rugged, warns, missed)
    return Check(
        name="local_linearity",
        values={
            "gradient_cosine": mean,
            "num_examples": len(cosine),
            "missed_by_pgd": missed,
        },
        threshold={"gradient_cosine": _COSINE, "missed_by_pgd": _MISSED},
        warns=warns,
        sentence=sentence,
        source="Andriushchenko & Flammarion 2020 (gradient alignment); Qin et al. 2019",
    )


def _ruggedness(rugged, warns, missed):
    if warns:
        return (
            f", and other attacks find adversarial images for {missed:.0%} of the "
            "images, where PGD of many steps does not: the loss is so rugged that its "
            "gradient does not say where it rises; gradient attacks are weak here and "
            "the images may not be robust."
        )
    if rugged:
        return (
            f": the loss is rugged, but other attacks find only {missed:.0%} of the "
            "images more than PGD of many steps: it finds its way."
        )
    return ": the gradient says where the loss rises."


def _vanishing_sentence(values, worst):
    clean, moved = values["clean"], values["random_start"]
    if worst["nan"]:
        return (
            f"the gradient of the loss is NaN at {worst['nan']:.0%} of the images: an "
            "attack cannot move there, which is no robustness."
        )
    if clean["zero"] and not moved["zero"]:
        return (
            f"the gradient of the loss is exactly zero at {clean['zero']:.0%} of the "
            "clean images, but not a random step away: attacks that start at the image "
            "(FGSM) are blind, and only those with a random start count."
        )
    if worst["zero"]:
        return (
            f"the gradient of the loss is exactly zero at {worst['zero']:.0%} of the "
            "images: gradient attacks are blind there, and robust accuracy under them "
            "is not to be believed. Look for rounding, thresholds or very large "
            "logits, and trust attacks on the logits' margin, Square and transfer only."
        )
    if worst["tiny"] > _TINY_SHARE:
        return (
            f"the gradient of the loss is below {TINY:.0e} at {worst['tiny']:.0%} of "
            "the images, and parts of it are lost in float32: the cross entropy is "
            "flat, because the logits are very large, and attacks on it are weak."
        )
    return "the loss has a gradient at every image: attacks have something to follow."
