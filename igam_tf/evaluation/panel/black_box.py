"""Attacks without the model's gradient: they must not find what gradients miss."""

import dataclasses

from igam_tf import attacks
from igam_tf.evaluation.decisions import clearly_more, decision
from igam_tf.evaluation.panel.check import Check, share

# AutoAttack warns from 0.2 % on, after APGD on two losses. After plain PGD, black-box
# attacks find a few more on honest networks: measured (tools/panel_false_alarms).
_SHARE = 0.05
_NOISE_DRAWS = 20
# A fifth of AutoAttack's, about as costly as the gradient steps of the panel.
_QUERIES = 1000
# SPSA of 5,200 queries, then of 2,600 for each of three target classes, and with
# differences across the whole ball, for outputs that hardly ever change.
_SAMPLES, _FEWER_SAMPLES, _TARGETS = 64, 32, 3


def square(subject):
    """Square Attack on the images that gradient attacks left standing."""
    before = subject.white_box
    attack = attacks.Square(num_queries=_QUERIES, **subject.ball)
    after = subject.attack_rows(attack, before)
    return _finds_more(
        "square",
        before,
        after,
        "Square Attack, which needs no gradient,",
        "Athalye et al. 2018; Croce & Hein 2020 (AutoAttack warns from 0.2 %)",
    )


def transfer(subject, sources):
    """Adversarial images of other models, on what gradient attacks left standing.

    PGD-20, and APGD on the targeted DLR loss where that is not enough.

    Args:
        subject: the model under test.
        sources: dict from name to Keras model of the same task.
    """
    before, after, missed = subject.white_box, {}, {}
    first = attacks.pgd(step_size=subject.eps / 4, **subject.ball)
    second = attacks.APGD(loss="dlr_targeted", **subject.ball)
    for name, source in sources.items():
        stands = before & subject.withstands(first, source=source)
        after[name] = subject.attack_rows(second, stands, source=source)
        missed[name] = share(before & ~after[name])
    worst = max(missed, key=missed.get)
    warns = _is_masked(before, after[worst])
    return Check(
        name="transfer",
        values={
            "before": share(before),
            **{name: {"after": share(after[name]), "missed": missed[name]}
               for name in sources},
        },  # fmt: skip
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"images made against {worst} break {missed[worst]:.0%} of the images "
        "though attacks on the model itself left them standing: "
        + _verdict(warns),
        source="Athalye et al. 2018; Croce et al. 2022",
    )


def spsa(subject):
    """Estimated gradients, on what everything before left standing."""
    before = after = subject.stands
    widest = 2 * subject.eps if subject.norm == "l2" else min(1.0, 2 * subject.eps)
    searches = [
        {"num_samples": _SAMPLES},
        {"num_samples": _FEWER_SAMPLES, "num_targets": _TARGETS},
        {"num_samples": _FEWER_SAMPLES, "delta": widest},
    ]
    if subject.clean_logits.shape[1] == 2:
        # With one wrong class both margins are the same.
        del searches[1]
    for search in searches:
        attack = attacks.SPSA(**search, **subject.ball)
        after = subject.attack_rows(attack, after)
    check = _finds_more(
        "spsa",
        before,
        after,
        "SPSA, which estimates the gradient from outputs,",
        "Uesato et al. 2018",
    )
    if check.warns:
        return check
    sentence = (
        f"SPSA breaks {check.values['missed']:.0%} of the images that stood until then: "
        "it adds nothing to what the checks above found."
    )
    return dataclasses.replace(check, sentence=sentence)


def noise(subject):
    """Uniform noise of size eps, on what gradient attacks left standing."""
    before = subject.white_box
    right = subject.withstands_noise(_NOISE_DRAWS)
    stands = subject.is_correct & right.all(axis=0)
    missed, warns = share(before & ~stands), _is_masked(before, before & stands)
    return Check(
        name="noise",
        values={
            "accuracy": round(float(right.mean()), 4),
            "worst_of_draws": share(stands),
            "missed": missed,
        },
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"{_NOISE_DRAWS} draws of uniform noise of size eps break "
        f"{missed:.0%} of the images though attacks left them standing: "
        + _verdict(warns),
        source="Athalye et al. 2018; Carlini et al. 2019",
    )


def _finds_more(name, before, after, finder, source):
    """The check that an attack breaks little of what others left standing.

    Args:
        name: name of the check.
        before: bool array (n,): what stood.
        after: bool array (n,): what of it still stands.
        finder: the attack, as the sentence's subject.
        source: who proposed the check.
    """
    missed, warns = share(before & ~after), _is_masked(before, after)
    return Check(
        name=name,
        values={"before": share(before), "after": share(after), "missed": missed},
        threshold=decision(_SHARE),
        warns=warns,
        sentence=f"{finder} breaks {missed:.0%} of the images though attacks before "
        f"left them standing: {_verdict(warns)}",
        source=source,
    )


def _is_masked(before, after):
    return clearly_more(before, after, at_least=_SHARE)


def _verdict(is_masked):
    if is_masked:
        return (
            "gradients are masked, and what gradient attacks leave standing is not "
            "robust."
        )
    return "gradient attacks miss next to nothing that it finds."
