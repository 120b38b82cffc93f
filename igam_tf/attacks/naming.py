"""From the name of an attack, as on a command line, to the attack."""

from igam_tf.attacks import names
from igam_tf.attacks.autoattack import APGD, FAB, AutoAttack, Square
from igam_tf.attacks.gradient_attack import fgsm, pgd
from igam_tf.attacks.spsa import SPSA

_LOSSES = {"pgd": "cross_entropy", "cw": "cw_margin"}
_APGD_LOSSES = {
    "apgd-ce": "cross_entropy",
    "apgd-dlr": "dlr",
    "apgd-t": "dlr_targeted",
}


def parse(name, *, eps, step_size=None, norm="linf", seed=0):
    """The attack of a name.

    Args:
        name: "clean", "fgsm", "pgdK" or "cwK" (PGD of K steps on the cross entropy or
            on the Carlini-Wagner margin), either with "xN" for N restarts: "pgd20x5".
            "autoattack" (standard), "autoattack-rand", or one of its parts: "apgd-ce",
            "apgd-dlr", "apgd-t", "fab-t", "square", "squareN" for N queries; "spsa".
        eps: radius of the ball, as a fraction such as 8/255.
        step_size: length of a step of PGD, or None for the default of `pgd`.
        norm: "linf" or "l2".
        seed: integer, seed of everything random.

    Returns:
        An attack, or None for "clean".

    Raises:
        ValueError: if the name has none of these forms.
    """
    form = names.match(name)
    kind, settings = form["kind"], {"eps": eps, "norm": norm, "seed": seed}
    if kind == "clean":
        return None
    if kind == "fgsm":
        return fgsm(eps=eps, norm=norm)
    if kind in _APGD_LOSSES:
        return APGD(loss=_APGD_LOSSES[kind], **settings)
    if kind == "fab-t":
        return FAB(**settings)
    if kind == "spsa":
        return SPSA(**settings)
    if kind == "square":
        queries = 5000 if form["queries"] is None else form["queries"]
        return Square(num_queries=queries, **settings)
    if kind.startswith("autoattack"):
        return AutoAttack(version="rand" if "rand" in kind else "standard", **settings)
    return pgd(
        step_size=step_size,
        num_steps=form["steps"],
        loss=_LOSSES[kind],
        num_restarts=1 if form["restarts"] is None else form["restarts"],
        **settings,
    )
