"""Adversarial distillation with indirect gradient matching (IGDM)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf.attacks import GradientAttack
from igam_tf.data import check_count
from igam_tf.settings import setting
from igam_tf.training import teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.matched import MATCHED_TO, MatchedMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.rslad import RSLAD, divergence
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup


class IGDM(MatchedMethod, RSLAD):
    """RSLAD whose student also changes its logits across the image as the teacher does.

        L = L_RSLAD + weight * t / total_steps * difference(T, S)
        difference = KL(softmax(T(x + d) - T(x - d)) || softmax(S(x + d) - S(x - d)))

    d = x' - x is the adversarial perturbation, t the step: logits apart by 2 d are, to
    first order, input gradients along d, which are matched so without a derivative of
    a derivative. x - d may leave [0, 1], as in the authors' code. Lee et al., ICLR
    2025, whose weight grows from epoch to epoch. Another distillation adds the term by
    `logit_difference`.

    Args:
        student: keras.Model from images to logits.
        teacher, attack: as of `RSLAD`.
        weight: of the term at the last step: the paper's alpha, 20 on CIFAR-100.
        total_steps: number of steps of the training, or None for the whole weight
            throughout.
        matched_to: as of `IGAM`: "teacher", or a control's change of logits in place of
            the teacher's: none for "zero", the teacher's at another image. The soft
            labels are the teacher's all the same.
        **kwargs: `alpha` of `RSLAD`, and what it takes of `TrainingMethod`.

    Raises:
        ValueError: as `RSLAD`, or if a choice is unknown or a number out of range.
    """

    reports: tuple[str, ...] = (
        "natural_distillation",
        "adversarial_distillation",
        "difference",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        attack: GradientAttack,
        *,
        weight: float = 20.0,
        total_steps: int | None = None,
        matched_to: str = "teacher",
        **kwargs: Any,
    ) -> None:
        super().__init__(student, teacher, attack, **kwargs)
        teachers.check_numbers(weight=weight)
        teachers.check_choice("matched_to", matched_to, MATCHED_TO)
        if total_steps is not None:
            check_count("total_steps", total_steps)
        self.weight = weight
        self.total_steps = total_steps
        self.matched_to = matched_to

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        images, partners = self.images_and_partners(images)
        images, (teacher_logits, adversarial) = super().prepare(
            images, labels, phase=phase, seed=seed
        )
        if self.matched_to == "zero":
            return images, (teacher_logits, adversarial, tf.zeros_like(teacher_logits))
        centre, change = partners[0] if partners else images, adversarial - images
        ahead = self.teacher_logits(centre + change)
        behind = self.teacher_logits(centre - change)
        return images, (teacher_logits, adversarial, ahead - behind)

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del labels, phase, global_batch
        teacher_logits, adversarial, wanted = targets
        attacked = self.student(adversarial, training=True)
        behind = self.student(2.0 * images - adversarial, training=True)
        logits = self.student(images, training=True)
        terms = self.distillation(teacher_logits, logits, attacked)
        difference = logit_difference(wanted, attacked, behind)
        terms["difference"] = self.weight_now() * difference
        return terms, logits, {}

    def weight_now(self) -> tf.Tensor | float:
        """The weight of this step: the first one has 1 / total_steps of it."""
        if self.total_steps is None:
            return self.weight
        step = tf.convert_to_tensor(self.optimizer.iterations) + 1
        done = tf.cast(step, tf.float32) / self.total_steps
        return self.weight * tf.minimum(done, 1.0)


def logit_difference(
    wanted: tf.Tensor, ahead: tf.Tensor, behind: tf.Tensor
) -> tf.Tensor:
    """KL of the teacher's change of logits across an image from the student's.

    Args:
        wanted: T(x + d) - T(x - d), a float tensor (batch, classes).
        ahead, behind: S(x + d) and S(x - d), tensors (batch, classes).

    Returns:
        Tensor (batch,): KL(softmax(wanted) || softmax(ahead - behind)), in nats.
    """
    return divergence(wanted, ahead - behind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row igdm: rslad, and logits that change across an image as the teacher's."""

    name: ClassVar[str] = "igdm"
    title: ClassVar[str] = "RSLAD + IGDM"
    uses: ClassVar[frozenset[str]] = frozenset({"teacher", "finetuning", "attack"})
    needs_teacher: ClassVar[bool] = True
    has_controls: ClassVar[bool] = True

    weight: float = setting(
        20.0, "igdm's alpha, at the last step.", flag="igdm_weight", at_least=0
    )
    alpha: float = setting(
        5 / 6,
        "Share of the adversarial image in the distillation of the row igdm.",
        flag="igdm_rslad_alpha",
        at_least=0,
        at_most=1,
    )
    num_steps: int = setting(
        10, "PGD steps of the row igdm.", flag="igdm_steps", at_least=1
    )

    def learns_labels(self) -> bool:
        return False

    def build(self, setup: Setup) -> TrainingMethod:
        method = IGDM(
            setup.student,
            setup.teacher,
            setup.attack(self.num_steps),
            weight=self.weight,
            total_steps=setup.total_steps,
            alpha=self.alpha,
            matched_to=setup.matched_to,
            **setup.arguments(),
        )
        return setup.compiled(method)
