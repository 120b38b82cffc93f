"""Names of attacks as written on a command line: "fgsm", "pgd20", "pgd20x5", "cw20"."""

import re

from igam_tf.attacks.gradient_attack import fgsm, pgd

_FORM = re.compile(r"(?P<kind>pgd|cw)(?P<steps>\d+)(x(?P<restarts>\d+))?")
_LOSSES = {"pgd": "cross_entropy", "cw": "cw_margin"}


def parse(name, *, eps, step_size=None, norm="linf", seed=0):
    """The attack of a name.

    Args:
        name: "clean", "fgsm", "pgdK" or "cwK" (PGD of K steps on the cross entropy or
            on the Carlini-Wagner margin), either with "xN" for N restarts: "pgd20x5".
        eps: radius of the ball, as a fraction such as 8/255.
        step_size: length of a step of PGD, or None for the default of `pgd`.
        norm: "linf" or "l2".
        seed: integer, seed of the random starts.

    Returns:
        An attack, or None for "clean".

    Raises:
        ValueError: if the name has none of these forms.
    """
    if name == "clean":
        return None
    if name == "fgsm":
        return fgsm(eps=eps, norm=norm)
    form = _FORM.fullmatch(str(name))
    if form is None:
        raise ValueError(
            f"attack {name!r}: expected 'clean', 'fgsm', 'pgdK' or 'cwK' with K steps, "
            "or either with N restarts as in 'pgd20x5'."
        )
    return pgd(
        eps=eps,
        step_size=step_size,
        num_steps=int(form["steps"]),
        norm=norm,
        loss=_LOSSES[form["kind"]],
        num_restarts=int(form["restarts"] or 1),
        seed=seed,
    )
