"""What an evaluation is asked for: the arguments of `evaluate`, checked."""

import collections.abc
import dataclasses

import keras
import tensorflow as tf

from igam_tf.attacks import Attack, AutoAttack, MinimumNormAttack, checks, parse
from igam_tf.attacks.classifier import check_model
from igam_tf.attacks.fractions import fraction
from igam_tf.attacks.identity import model_digest
from igam_tf.evaluation.batches import BATCH_NORM, Data, check_data, check_ends
from igam_tf.evaluation.corruptions.counting import (
    CORRUPTIONS_VERSION,
    check_corruptions,
)
from igam_tf.evaluation.corruptions.names import Corruptions
from igam_tf.evaluation.counting import STATE_VERSION
from igam_tf.evaluation.masking import PANEL_VERSION, named_models
from igam_tf.evaluation.verified.network import PiecewiseLinear, read_network

THREAT_MODELS = {"linf": "Linf", "l2": "L2", "l1": "L1"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """The arguments of `igam_tf.evaluate`, where not said otherwise.

    Attributes:
        attacks: dict from name to attack, None for clean images.
        batch_size: of the evaluation, no larger than the data.
        asked_batch_size: the argument.
        panel: whether the panel is run; without an attack there is nothing that could
            be fooled.
        panel_examples: number of images of the panel, no more than `max_examples`.
        asked_panel_examples: the argument.
        sources: dict from name to model, those to transfer from.
        corruptions: those to evaluate on, or None.
        network: the model as matrices, to verify it, or None.
    """

    model: keras.Model
    data: Data
    attacks: dict[str, Attack | None]
    eps: float
    step_size: float | None
    norm: str
    batch_size: int
    asked_batch_size: int
    batch_norm: str
    seed: int
    max_examples: int | None
    panel: bool
    panel_examples: int
    asked_panel_examples: int
    sources: dict[str, keras.Model]
    corruptions: Corruptions | None = None
    network: PiecewiseLinear | None = None

    @property
    def training(self) -> bool:
        """The mode of the model: True for batch statistics."""
        return self.batch_norm == "batch"

    @property
    def outside(self) -> frozenset[str]:
        """Names of the attacks that may leave the ball of radius `eps` in `norm`."""
        return frozenset(
            name
            for name, attack in self.attacks.items()
            if attack is not None
            and (attack.norm != self.norm or attack.eps > self.eps)
        )

    @property
    def settings(self) -> dict[str, object]:
        """What is recorded with the result."""
        return {
            "threat_model": THREAT_MODELS[self.norm],
            "eps": float(self.eps),
            "step_size": None if self.step_size is None else float(self.step_size),
            "batch_norm": self.batch_norm,
            "seed": int(self.seed),
        }

    @property
    def identity(self) -> str:
        """All but the model and the data on which the result depends, as text."""
        sizes = {
            "batch_size": self.asked_batch_size,
            "panel_examples": self.asked_panel_examples,
        }
        others = {name: model_digest(source) for name, source in self.sources.items()}
        identity: tuple = (
            self.attacks,
            self.settings,
            sizes,
            self.batch_size,
            self.max_examples,
            self.panel,
            others,
            PANEL_VERSION,
            STATE_VERSION,
        )
        if self.corruptions is not None:
            identity += (self.corruptions, CORRUPTIONS_VERSION)
        return str(identity)


def checked(
    model: keras.Model,
    data: Data,
    attacks: str | Attack | collections.abc.Iterable[str | Attack],
    *,
    eps: float,
    step_size: float | None,
    norm: str,
    batch_size: int,
    batch_norm: str,
    seed: int,
    max_examples: int | None,
    panel: bool,
    panel_examples: int,
    transfer_from: dict[str, keras.Model] | keras.Model | None,
    corruptions: str | collections.abc.Sequence[str] | Corruptions | None = None,
    verified: bool = False,
) -> Request:
    """The request that the arguments of `igam_tf.evaluate` make.

    Raises:
        ValueError: if an argument does not fit.
    """
    # Longer than forty lines because of its arguments, which are handed on by name.
    check_model(model)
    attacks = _named(attacks, eps=eps, step_size=step_size, norm=norm, seed=seed)
    _check(attacks, norm=norm, eps=eps, step_size=step_size, batch_norm=batch_norm,
           panel=panel)  # fmt: skip
    checks.whole_number("batch_size", batch_size, 1)
    checks.whole_number("panel_examples", panel_examples, 1)
    if max_examples is not None:
        checks.whole_number("max_examples", max_examples, 1)
    check_data(data)
    check_ends(data, max_examples)
    return Request(
        model=model,
        data=data,
        attacks=attacks,
        eps=eps,
        step_size=step_size,
        norm=norm,
        batch_size=_no_larger_than(data, batch_size, max_examples),
        asked_batch_size=batch_size,
        batch_norm=batch_norm,
        seed=seed,
        max_examples=max_examples,
        panel=bool(panel and eps and any(attacks.values())),
        panel_examples=min(panel_examples, max_examples or panel_examples),
        asked_panel_examples=panel_examples,
        sources=_sources(transfer_from),
        corruptions=_corruptions(corruptions, model, seed),
        network=_network(model, batch_norm) if verified else None,
    )


def _network(model, batch_norm):
    if batch_norm == "batch":
        raise ValueError(
            "a verified bound with batch_norm='batch': expected 'inference', because "
            "with batch statistics an image's logits depend on the others."
        )
    return read_network(model)


def _corruptions(corruptions, model, seed):
    if corruptions is None:
        return None
    if seed < 0:
        raise ValueError(f"seed is {seed} with corruptions: expected zero or above.")
    asked = Corruptions.parse(corruptions)
    check_corruptions(asked, model)
    return asked


def _sources(transfer_from):
    """`named_models`, if they are models."""
    if isinstance(transfer_from, (str, bytes)):
        raise ValueError(
            f"transfer_from is {transfer_from!r}: expected a Keras model, or a dict "
            "from names to models; load the file first."
        )
    try:
        sources = named_models(transfer_from)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"transfer_from is {type(transfer_from).__name__}: expected a Keras model, "
            "or a dict from names to models."
        ) from error
    for name, source in sources.items():
        if not isinstance(source, keras.Layer):
            raise ValueError(
                f"transfer_from[{name!r}] is {source!r}: expected a Keras model; load "
                "the file first (keras.models.load_model)."
            )
    return sources


def _named(attacks, *, eps, norm, step_size, seed):
    if isinstance(attacks, (str, Attack)):
        attacks = [attacks]
    if not isinstance(attacks, collections.abc.Iterable):
        raise ValueError(
            f"attacks is {attacks!r}: expected names such as ('clean', 'pgd20'), or "
            "attacks of igam_tf.attacks."
        )
    named = {}
    for attack in attacks:
        if not isinstance(attack, Attack):
            named[attack] = parse(
                attack, eps=eps, step_size=step_size, norm=norm, seed=seed
            )
        elif (attack.eps, attack.norm) == (eps, norm):
            named[repr(attack)] = attack
        else:
            raise ValueError(
                f"{attack} among the attacks of an evaluation at eps "
                f"{fraction(eps)}, {norm}: expected one threat model; pass its eps and "
                "norm to evaluate as well, or evaluate it alone."
            )
    if not named:
        raise ValueError("no attacks: expected names such as ('clean', 'pgd20').")
    return named


def _check(attacks, *, norm, eps, step_size, batch_norm, panel):
    checks.one_of("batch_norm", batch_norm, BATCH_NORM)
    checks.one_of("norm", norm, tuple(THREAT_MODELS))
    checks.radius("eps", eps, norm)
    if step_size is not None:
        checks.step("step_size", step_size, norm, eps)
    for name, attack in attacks.items():
        if batch_norm == "batch" and isinstance(attack, AutoAttack):
            raise ValueError(
                f"{name} with batch_norm='batch': expected batch_norm='inference', "
                "because AutoAttack's parts run on the images that are left, and with "
                "batch statistics each result depends on the others; for the authors' "
                "mode use pgd, or its parts one at a time ('apgd-ce', 'square')."
            )
        if batch_norm == "batch" and isinstance(attack, MinimumNormAttack):
            raise ValueError(
                f"{name} with batch_norm='batch': expected batch_norm='inference', "
                "because the nearest images come from several steps, and with batch "
                "statistics each result depends on the others; use pgd in that mode."
            )
    if norm == "l1" and panel and any(attacks.values()):
        raise ValueError(
            "norm is 'l1' with the masking panel, whose attacks are of Linf and L2: "
            "expected panel=False (--nopanel)."
        )


def _no_larger_than(data, batch_size, max_examples):
    """A batch no larger than the data: padding one image to 128 would be a waste."""
    sizes = [batch_size, max_examples or batch_size]
    if not isinstance(data, tf.data.Dataset):
        sizes.append(max(1, len(data[0])))
    return min(sizes)
