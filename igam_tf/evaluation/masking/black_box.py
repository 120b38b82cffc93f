"""Attacks without the model's gradient: they must not find what gradients miss."""

import dataclasses
from typing import Any

import keras
import numpy as np

from igam_tf import attacks
from igam_tf.evaluation.masking.check import Check, is_negligible, share
from igam_tf.evaluation.masking.model_under_test import ModelUnderTest
from igam_tf.evaluation.statistics import clearly_more, decision

# AutoAttack warns from 0.2 % on, after APGD on two losses. After plain PGD, black-box
# attacks find a few more on honest networks: measured (tools/panel_false_alarms).
_SHARE = 0.05
_NOISE_DRAWS = 20
# A fifth of AutoAttack's, about as costly as the gradient steps of the panel.
_QUERIES = 1000
# SPSA of 5,200 queries, then of 2,600 for each of three target classes, and with
# differences across the whole ball, for outputs that hardly ever change.
_SAMPLES, _FEWER_SAMPLES, _TARGETS = 64, 32, 3


def square(tested: ModelUnderTest) -> Check:
    """Square Attack on the images that are robust to gradient attacks."""
    before = tested.robust_to_gradients
    attack = attacks.Square(num_queries=_QUERIES, **tested.ball)
    after = tested.attack_rows(attack, before)
    return _finds_more(
        "square",
        before,
        after,
        "Square Attack, which needs no gradient,",
        "Athalye et al. 2018; Croce & Hein 2020 (AutoAttack warns from 0.2 %)",
    )


def transfer(tested: ModelUnderTest, sources: dict[str, keras.Model]) -> Check:
    """Adversarial images of other models, where gradient attacks found none.

    PGD-20, and APGD on the targeted DLR loss where that is not enough.

    Args:
        tested: the model under test.
        sources: dict from name to Keras model of the same task.
    """
    before, after, missed = tested.robust_to_gradients, {}, {}
    first = attacks.pgd(step_size=tested.eps / 4, **tested.ball)
    second = attacks.APGD(loss="dlr_targeted", **tested.ball)
    for name, source in sources.items():
        robust = before & tested.robust_under(first, source=source)
        after[name] = tested.attack_rows(second, robust, source=source)
        missed[name] = share(before & ~after[name])
    worst = max(missed, key=lambda name: missed[name])
    warns = _is_masked(before, after[worst])
    return Check(
        name="transfer",
        values={
            "before": share(before),
            **{
                name: {"after": share(after[name]), "missed": missed[name]}
                for name in sources
            },
        },  # fmt: skip
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"images made against {worst} mislead the model on "
        f"{missed[worst]:.0%} of the images, which are robust to attacks on it: "
        + _verdict(warns, missed[worst]),
        source="Athalye et al. 2018; Croce et al. 2022",
    )


def spsa(tested: ModelUnderTest) -> Check:
    """Estimated gradients, on the images that are robust to everything before."""
    before = after = tested.is_robust
    widest = 2 * tested.eps if tested.norm == "l2" else min(1.0, 2 * tested.eps)
    searches: list[dict[str, Any]] = [
        {"num_samples": _SAMPLES},
        {"num_samples": _FEWER_SAMPLES, "num_targets": _TARGETS},
        {"num_samples": _FEWER_SAMPLES, "delta": widest},
    ]
    if tested.clean_logits.shape[1] == 2:
        # With one wrong class both margins are the same.
        del searches[1]
    for search in searches:
        attack = attacks.SPSA(**search, **tested.ball)
        after = tested.attack_rows(attack, after)
    check = _finds_more(
        "spsa",
        before,
        after,
        "SPSA, which estimates the gradient from outputs,",
        "Uesato et al. 2018",
    )
    if check.warns or not is_negligible(check.values["missed"]):
        return check
    sentence = (
        f"SPSA finds adversarial images for another {check.values['missed']:.0%} of "
        "the images: it adds nothing to what the checks above found."
    )
    return dataclasses.replace(check, sentence=sentence)


def noise(tested: ModelUnderTest) -> Check:
    """Uniform noise of size eps, on the images that are robust to gradient attacks."""
    before = tested.robust_to_gradients
    right = tested.robust_under_noise(_NOISE_DRAWS)
    robust = tested.is_correct & right.all(axis=0)
    missed, warns = share(before & ~robust), _is_masked(before, before & robust)
    return Check(
        name="noise",
        values={
            "accuracy": round(float(right.mean()), 4),
            "worst_of_draws": share(robust),
            "missed": missed,
        },
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"{_NOISE_DRAWS} draws of uniform noise of size eps mislead the model "
        f"on {missed:.0%} of the images, which are robust to the attacks before: "
        + _verdict(warns, missed),
        source="Athalye et al. 2018; Carlini et al. 2019",
    )


def _finds_more(
    name: str, before: np.ndarray, after: np.ndarray, finder: str, source: str
) -> Check:
    """The check that an attack finds little where others find nothing.

    Args:
        name: name of the check.
        before: bool array (n,): what was robust until then.
        after: bool array (n,): what of it still is.
        finder: the attack, as the sentence's subject.
        source: who proposed the check.
    """
    missed, warns = share(before & ~after), _is_masked(before, after)
    return Check(
        name=name,
        values={"before": share(before), "after": share(after), "missed": missed},
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"{finder} finds adversarial images for {missed:.0%} of the images, "
        f"which are robust to the attacks before: {_verdict(warns, missed)}",
        source=source,
    )


def _is_masked(before, after):
    return clearly_more(before, after, at_least=_SHARE)


def _verdict(is_masked, missed):
    if is_masked:
        return (
            "gradients are masked, and robust accuracy under gradient attacks is not "
            "to be believed."
        )
    if is_negligible(missed):
        return "gradient attacks miss next to nothing that it finds."
    return f"fewer than it takes to warn ({decision(_SHARE)})."
