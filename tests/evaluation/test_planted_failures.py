"""Planted failures: each looks robust to some attack, and none gets away with it.

The panel is given no model to transfer from: it has to find the truth by itself.
"""

import functools

import numpy as np
import planted_failures as planted
import pytest
from small_models import digits, digits_net, shifted

import igam_tf
from igam_tf import attacks

EPS = 0.1
QUIET = {"progress": False}
NAIVE = attacks.pgd(eps=EPS, num_steps=20, random_start=False)


def examples(count=60):
    images, labels = digits()
    return images[1200 : 1200 + count], labels[1200 : 1200 + count]


def standing(model, adversarial, calls=1):
    """Images right both when clean and when attacked; the mean of several calls."""
    images, labels = examples()
    counts = []
    for _ in range(calls):
        both = images, adversarial
        right = [model(x).numpy().argmax(axis=1) == labels for x in both]
        counts.append((right[0] & right[1]).sum())
    return np.mean(counts)


@functools.cache
def images_against_the_base():
    return attacks.APGD(eps=EPS, loss="dlr_targeted")(digits_net(), *examples())


@functools.cache
def evaluated(make, *names):
    model = make()
    result = igam_tf.evaluate(
        model,
        examples(),
        ["clean", NAIVE, "pgd20", *names],
        eps=EPS,
        **QUIET,
    )
    # Attacked alone among clean images, an image sets off no alarm.
    forward = digits_net() if make is alarmed else model
    truth = standing(forward, images_against_the_base(), calls=10)
    return result, truth


def count(result, name):
    return result["attacks"][name]["num_correct"]


def quantised():
    return planted.masked(planted.Quantise())


def rippled():
    return planted.masked(planted.Ripple())


def stopped():
    return planted.masked(planted.StopGradient())


def randomised():
    return planted.masked(planted.Randomise())


def alarmed():
    return planted.masked(planted.Alarm())


def flat_at_the_image():
    return planted.masked(planted.DeadZone())


# The model, which attacks it fools, and what the panel calls it.
FAILURES = [
    (quantised, (repr(NAIVE), "pgd20"), "vanishing_gradients", "exactly zero"),
    (rippled, (repr(NAIVE), "pgd20"), "square", "masked"),
    (stopped, (repr(NAIVE), "pgd20"), "vanishing_gradients", "exactly zero"),
    (planted.large_logits, (repr(NAIVE), "pgd20"), "loss_function", "very large"),
    (randomised, ("square",), "randomized", "version 'rand'"),
    (alarmed, (repr(NAIVE), "pgd20"), "batch_dependent", "neighbours"),
    (flat_at_the_image, (repr(NAIVE),), "starting_point", "without a random start"),
    (planted.sigmoid, (repr(NAIVE), "pgd20"), "logits", "look like probabilities"),
]


# Black-box attacks leave about as many of 60 images as PGD leaves of the unmasked
# network; how many exactly was counted on the shipped one.
SPREAD = 4 if shifted(0) else 0


@pytest.mark.parametrize(
    "make, fooled, cause, words", FAILURES, ids=[f[0].__name__ for f in FAILURES]
)
def test_a_planted_failure_is_seen_through(make, fooled, cause, words):
    names = ["square"] if "square" in fooled else []
    result, truth = evaluated(make, *names)
    # It is a failure: someone who runs this attack alone would be fooled.
    for name in fooled:
        assert count(result, name) > truth + 10 - SPREAD
    assert result["worst_case"]["num_correct"] <= truth + SPREAD
    panel = result["panel"]
    assert panel["worst_case"]["num_correct"] <= truth + SPREAD
    assert cause in panel["warns"]
    assert words in panel["checks"][cause]["sentence"]
    assert panel["checks"][cause]["sentence"] in result["warnings"]
    assert result["robustbench"]["unreliable"] is True


# Outputs that hardly ever change: decisions alone are harder to attack than to mask.
@pytest.mark.parametrize(
    "make, above", [(planted.labels_only, 6), (planted.rounded_logits, 2)],
    ids=["labels_only", "rounded_logits"],
)  # fmt: skip
def test_rounded_outputs_are_named_and_nearly_broken(make, above):
    result, truth = evaluated(make)
    assert count(result, "pgd20") > truth + 20
    assert result["worst_case"]["num_correct"] <= truth + above + 2 * SPREAD
    assert {"vanishing_gradients", "spsa"} <= set(result["panel"]["warns"])


def test_an_honest_model_is_left_alone():
    result, truth = evaluated(digits_net)
    assert result["warnings"] == [] and result["panel"]["warns"] == []
    # The costliest check is for those that another one has called masked.
    assert "spsa" not in result["panel"]["checks"]
    assert result["robustbench"]["unreliable"] is False
    assert truth - 3 <= result["worst_case"]["num_correct"] <= count(result, "pgd20")


def test_a_model_to_transfer_from_shows_it_as_well():
    panel = igam_tf.evaluation.masking_panel(
        stopped(), examples(), eps=EPS, transfer_from={"base": digits_net()}
    )
    truth = evaluated(stopped)[1]
    assert "transfer" in panel["warns"]
    assert panel["checks"]["transfer"]["values"]["base"]["after"] * 60 <= truth + SPREAD


def test_gradients_at_the_image_and_beside_it_are_told_apart():
    result, _ = evaluated(flat_at_the_image)
    check = result["panel"]["checks"]["vanishing_gradients"]
    assert check["values"]["clean"]["zero"] == 1
    assert check["values"]["random_start"]["zero"] == 0
    assert "start at the image" in check["sentence"]


def test_black_box_attacks_see_through_a_layer_without_gradient():
    result, truth = evaluated(stopped)
    checks = result["panel"]["checks"]
    assert {"square", "spsa", "eps_sweep"} <= set(result["panel"]["warns"])
    assert checks["square"]["values"]["missed"] > (0.2 if SPREAD else 0.3)
    assert checks["spsa"]["values"]["after"] * 60 <= truth + SPREAD
    # PGD does not get anywhere even where all is allowed.
    assert checks["eps_sweep"]["values"]["1"] > 0.1


def test_attacks_on_the_margin_break_large_logits():
    """The cross entropy is blind; DLR and Square are not."""
    result = igam_tf.evaluate(
        planted.large_logits(),
        examples(),
        ["pgd20", "apgd-t", "square"],
        eps=EPS,
        panel=False,
        **QUIET,
    )
    truth = standing(digits_net(), images_against_the_base())
    assert count(result, "pgd20") > (truth + 20 if SPREAD else 2 * truth)
    assert count(result, "apgd-t") <= truth + 1
    # Square alone is a little weaker on the unscaled network as well.
    assert count(result, "square") <= truth + 8 + SPREAD


def test_softmax_is_refused_with_a_way_out():
    with pytest.raises(ValueError, match="returns probabilities.*Take it off"):
        igam_tf.evaluate(planted.softmax(), examples(), eps=EPS, **QUIET)


def test_a_model_that_sees_its_batch_is_told_in_batch_mode():
    found = {
        mode: igam_tf.evaluate(
            digits_net(), examples(), ["pgd5"], eps=EPS, batch_norm=mode, **QUIET
        )["panel"]
        for mode in ("inference", "batch")
    }
    assert "batch_dependent" in found["batch"]["warns"]
    assert "batch_dependent" not in found["inference"]["warns"]
    # Either panel has both modes, as the other one measured them.
    for panel in found.values():
        values = panel["checks"]["batch_norm"]["values"]
        for mode, other in found.items():
            expected = other["checks"]["pgd_steps"]["values"]["pgd20"]
            assert values[mode]["pgd20"] == expected
    assert values["batch"] != values["inference"]
