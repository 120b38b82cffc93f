"""Are the outputs logits, and does an image's output depend on the image alone?"""

import numpy as np

from igam_tf.evaluation.masking.check import Check, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest

# AutoAttack's: five calls, and this distance of logits scaled to length 1.
_CALLS = 5
_DISTANCE = 1e-4
_ALONE = 8
# The logits of a few images may lie in [0, 1] by chance.
_FEW_OUTPUTS = 50


def logits(tested: ModelUnderTest) -> Check:
    """Outputs within [0, 1] are no logits (a softmax is refused before)."""
    low, high = map(float, (tested.clean_logits.min(), tested.clean_logits.max()))
    is_few = tested.clean_logits.size < _FEW_OUTPUTS
    warns = low >= 0 and high <= 1 and not is_few
    sentence = f"outputs range from {low:.3g} to {high:.3g}: " + (
        "they look like probabilities (a sigmoid?), whose loss is flat where the model "
        "is sure; take the last activation off and evaluate the logits."
        if warns
        else "too few to tell whether they are logits."
        if is_few
        else "they are logits."
    )
    return Check(
        name="logits",
        values={"smallest": low, "largest": high},
        threshold=[0, 1],
        warns=warns,
        sentence=sentence,
        source="Croce & Hein 2020 (AutoAttack's check of the output range)",
    )


def randomized(tested: ModelUnderTest) -> Check:
    """The same images again: do they get the same logits?"""
    first, distance = tested.clean_logits, np.zeros(len(tested))
    for _ in range(_CALLS - 1):
        again = tested.logits(tested.images)
        distance = np.maximum(distance, _distance(first, again))
    warns = distance.max() > _DISTANCE
    sentence = f"{_CALLS} calls with the same images give " + (
        f"different outputs at {share(distance > _DISTANCE):.0%} of them: the model is "
        "randomised, a single gradient is no guide, and numbers of attacks without "
        "expectation over transformation (AutoAttack's version 'rand') do not count."
        if warns
        else "the same outputs."
    )
    return Check(
        name="randomized",
        values={"largest_distance": float(distance.max())},
        threshold=_DISTANCE,
        warns=warns,
        sentence=sentence,
        source="Athalye et al. 2018; Croce & Hein 2020 (AutoAttack's check)",
    )


def batch_dependent(tested: ModelUnderTest) -> Check:
    """Other neighbours in the batch: does an image get the same logits?

    A noisy image among noisy ones, as in an attack on a batch, and alone among clean
    ones; the size of the batch stays, and so does the order of summation.
    """
    generator = np.random.default_rng(tested.seed)
    noise = generator.uniform(-tested.eps, tested.eps, tested.images.shape)
    noisy = np.clip(tested.images + noise, 0, 1).astype(np.float32)
    among_noisy = tested.logits(noisy)
    count = min(_ALONE, len(tested))
    among_clean = among_noisy.copy()
    for image in range(count):
        # Turned by one, so that the neighbours are other images as well.
        batch = np.roll(tested.images, 1, axis=0)
        batch[image] = noisy[image]
        among_clean[image] = tested.logits(batch)[image]
    distance = _distance(among_noisy, among_clean)
    changed = (among_noisy.argmax(axis=1) != among_clean.argmax(axis=1))[:count]
    return _batch_check(distance, share(changed))


def _batch_check(distance, changed):
    warns = distance.max() > _DISTANCE
    sentence = (
        "the output of an image depends on the other images of its batch (other "
        f"neighbours change the class of {changed:.0%}): an attack on a batch is not "
        "one on an image, and batch size and order decide the numbers; evaluate in "
        "inference mode, or attack images one at a time among clean ones."
        if warns
        else "the output of an image does not depend on its neighbours in the batch."
    )
    return Check(
        name="batch_dependent",
        values={"largest_distance": float(distance.max()), "classes_changed": changed},
        threshold=_DISTANCE,
        warns=warns,
        sentence=sentence,
        source="Carlini et al. 2019; threshold as for randomised models",
    )


def _distance(a, b):
    a, b = (x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-10) for x in (a, b))
    return np.linalg.norm(a - b, axis=1)
