"""The attacks by name, as on a command line: the list of them, and how names are read.

A new attack is one line of `_ATTACKS`. Nothing here imports TensorFlow: the file of an
attack is imported when one is made.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import re
import typing

from igam_tf.attacks import radii

if typing.TYPE_CHECKING:
    from igam_tf.attacks.attack import Attack

_MOST = 2**31 - 1
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclasses.dataclass(frozen=True)
class Form:
    """Names of one form, and the attack that they stand for.

    Attributes:
        text: the form; "{argument}" stands for a whole number, which is an argument of
            the attack, and what is in brackets may be left out.
        place: file of this folder, and name in it of the class or function that makes
            the attack, as in "square.Square"; empty for clean images.
        settings: further arguments.
        norms: those that the attack knows.
    """

    text: str
    place: str
    settings: dict[str, object] = dataclasses.field(default_factory=dict)
    norms: tuple[str, ...] = tuple(radii.NORMS)

    @functools.cached_property
    def pattern(self) -> re.Pattern:
        """Matches the names of this form, with a group for each argument."""
        escaped = "".join(
            f"(?P<{part}>[0-9]+)" if is_argument else re.escape(part)
            for part, is_argument in _split(self.text)
        )
        return re.compile(escaped.replace(r"\[", "(?:").replace(r"\]", ")?"))

    @property
    def shown(self) -> str:
        """The form for people: "pgd{num_steps}[x{num_restarts}]" as "pgdK[xN]"."""
        letters = iter("KNM")
        return "".join(
            next(letters) if is_argument else part
            for part, is_argument in _split(self.text)
        )


def _split(text):
    """Parts of a form: tuples (text, whether it is an argument's name)."""
    parts = _PLACEHOLDER.split(text)
    return [(part, bool(number % 2)) for number, part in enumerate(parts)]


#: All attacks that have a name.
_ATTACKS = [
    Form("clean", ""),
    Form("fgsm", "gradient_attack.fgsm"),
    Form("pgd{num_steps}[x{num_restarts}]", "gradient_attack.pgd"),
    Form(
        "pgd{num_steps}-t[x{num_restarts}]", "gradient_attack.pgd", {"targets": "all"}
    ),
    Form(
        "cw{num_steps}[x{num_restarts}]", "gradient_attack.pgd", {"loss": "cw_margin"}
    ),
    Form("autoattack", "autoattack.AutoAttack"),
    Form("autoattack-plus", "autoattack.AutoAttack", {"version": "plus"}),
    Form("autoattack-rand", "autoattack.AutoAttack", {"version": "rand"}),
    Form("apgd-ce", "apgd.APGD"),
    Form("apgd-dlr", "apgd.APGD", {"loss": "dlr"}),
    Form("apgd-t", "apgd.APGD", {"loss": "dlr_targeted"}),
    Form("fab", "fab.FAB", {"num_targets": 0}),
    Form("fab-t", "fab.FAB"),
    Form("square[{num_queries}]", "square.Square"),
    Form("spsa", "spsa.SPSA", norms=("linf", "l2")),
    Form("fmn[{num_steps}]", "fmn.FMN"),
    Form("fmn[{num_steps}]-t", "fmn.FMN", {"num_targets": 9}),
    Form("ddn[{num_steps}]", "ddn.DDN", norms=("l2",)),
]

EXPECTED = (
    ", ".join(repr(form.shown) for form in _ATTACKS)
    + " (K and N are whole numbers, and what is in brackets may be left out: 'pgd20x5' "
    "is PGD of 20 steps with 5 restarts, 'square500' is Square of 500 queries); a "
    f"radius of its own follows as {radii.SHOWN}"
)


def match(name: str) -> tuple[Form, dict[str, int]]:
    """The form of an attack's name, and the numbers in it.

    Args:
        name: see `EXPECTED`.

    Returns:
        Tuple (`Form`, dict from argument to number); a radius is left out of it.

    Raises:
        ValueError: if the name has none of the forms.
    """
    base = radii.split(name)[0] if isinstance(name, str) else ""
    for form in _ATTACKS:
        found = form.pattern.fullmatch(base)
        if found:
            given = {key: text for key, text in found.groupdict().items() if text}
            return form, {key: int(text) for key, text in given.items()}
    raise ValueError(f"attack {name!r}: expected {EXPECTED}.")


def check(name: str, norm: str | None = None) -> None:
    """Raises ValueError unless `name` is an attack's name, with numbers in range.

    Args:
        name: see `EXPECTED`.
        norm: "linf", "l2" or "l1", of the evaluation; the attack must know it, or that
            in its name. None looks at the name alone.
    """
    form, numbers = match(name)
    norm = radii.split(name)[1] or norm
    if norm is not None and norm not in form.norms:
        known = " and ".join(radii.NORMS[one] for one in form.norms)
        raise ValueError(
            f"attack {name!r} in {radii.NORMS[norm]}: expected a norm that it knows "
            f"({known}), or another attack."
        )
    for argument, value in numbers.items():
        if value < 1:
            raise ValueError(
                f"attack {name!r}: {argument} is {value}, expected at least 1."
            )
        if value > _MOST:
            raise ValueError(
                f"attack {name!r}: {argument} is {value}, expected at most {_MOST}."
            )


def parse(
    name: str,
    *,
    eps: float,
    step_size: float | None = None,
    norm: str = "linf",
    seed: int = 0,
) -> Attack | None:
    """The attack of a name.

    Args:
        name: "clean", "fgsm", "pgdK" or "cwK" (PGD of K steps on the cross entropy or
            on the Carlini-Wagner margin), either with "xN" for N restarts: "pgd20x5".
            "pgdK-t" is PGD towards every other class in turn.
            "autoattack" (standard), "autoattack-plus", "autoattack-rand", or one of
            its parts: "apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square",
            "squareN" for N queries; "spsa";
            "fmn" or "ddn", or "fmnK" and "ddnK" with K steps; "fmn-t" is FMN
            towards nine classes in turn.
            "@4/255" or "@l2:0.5" after any of these is a radius, and a norm, of its
            own.
        eps: radius of the ball, as a fraction such as 8/255.
        step_size: length of a step of PGD, or None for the default of `pgd`. It is in
            proportion to eps: at a radius of its own it is shorter or longer, and in
            another norm the default.
        norm: "linf", "l2", or "l1" if the attack knows it.
        seed: integer, seed of everything random.

    Returns:
        An attack, or None for "clean".

    Raises:
        ValueError: if the name has none of these forms.
    """
    form, numbers = match(name)
    if not form.place:
        return None
    _, own_norm, own_eps = radii.split(name)
    if own_eps is not None:
        if step_size is not None:
            same = own_norm in (None, norm) and eps
            step_size = step_size * (own_eps / eps) if same else None
        eps, norm = own_eps, own_norm or norm
    module, factory = form.place.split(".")
    make = getattr(importlib.import_module(f"{__package__}.{module}"), factory)
    takes = inspect.signature(make).parameters
    # What an attack has no use for, such as a seed where nothing is random, it need not
    # take.
    shared = {"eps": eps, "norm": norm, "step_size": step_size, "seed": seed}
    shared = {key: value for key, value in shared.items() if key in takes}
    return make(**shared, **form.settings, **numbers)
