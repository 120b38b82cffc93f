"""Adversarial training: the rows PGD-k of the paper's tables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras

from igam_tf.attacks.attack import GraphAttack
from igam_tf.attacks.fractions import fraction
from igam_tf.settings import setting
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.standard import StandardTraining

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.base import TrainingMethod


class AdversarialTraining(StandardTraining):
    """Trains on the worst case an attack finds (Eq. 3; Madry et al. 2018).

    Args:
        student: keras.Model from images to logits.
        attack: for instance `igam_tf.attacks.pgd(eps=8/255, num_steps=7)`.
        **kwargs: `weight_decay`, `seed` of `TrainingMethod`.
    """

    def __init__(
        self, student: keras.Model, attack: GraphAttack, **kwargs: Any
    ) -> None:
        super().__init__(student, attack=attack, **kwargs)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row pgd: adversarial training with the radius of the evaluation."""

    name: ClassVar[str] = "pgd"
    title: ClassVar[str] = "PGD"
    uses: ClassVar[frozenset[str]] = frozenset({"attack"})

    num_steps: int = setting(
        7, "PGD steps of the row pgd.", flag="adversarial_steps", at_least=1
    )
    step_size: float = setting(
        0.0,
        "Step of the row pgd; 0: that of the evaluation, --step_size.",
        flag="adversarial_step_size",
        at_least=0,
    )
    random_start: bool = setting(
        True,
        "Whether the row pgd starts from a random point of the ball.",
        flag="adversarial_random_start",
    )

    def label(self) -> str:
        return f"{self.title}{self.num_steps}"

    def check(self, experiment: Experiment) -> None:
        eps = experiment.attack.eps
        if eps and self.step_size > 2 * eps * (1 + 1e-6):
            raise ValueError(
                f"--adversarial_step_size={self.step_size:g}: expected at most twice "
                f"--eps={fraction(eps)}, the width of the ball."
            )

    def build(self, setup: Setup) -> TrainingMethod:
        attack = setup.attack(
            self.num_steps,
            step_size=self.step_size or None,
            random_start=self.random_start,
        )
        method = AdversarialTraining(setup.student, attack, **setup.arguments())
        return setup.compiled(method)
