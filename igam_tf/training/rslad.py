"""Adversarial distillation from the robust soft labels of a teacher (RSLAD)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import streams
from igam_tf.attacks import GradientAttack
from igam_tf.settings import setting
from igam_tf.training import teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup


class RSLAD(TrainingMethod):
    """Adversarial training whose labels are what a robust teacher says of the image.

        L = (1 - alpha) KL(T(x) || S(x)) + alpha KL(T(x) || S(x'))
        x' = argmax KL(T(x) || S(x')) in the ball of the attack

    T(x) is the teacher's softmax at the natural image, as mixup or cutmix left it; no
    labels are used, and none smoothed. Zi et al., ICCV 2021. KL is a sum over classes;
    the authors' code takes the mean of it, so that a rate or a weight decay that was
    tuned there is another one here. Their x' starts at a little Gaussian noise, here
    where the attack starts: anywhere in the ball.

    Args:
        student: keras.Model from images to logits.
        teacher: robust keras.Model from the same images to the same classes, see
            `igam_tf.finetune`; never changed.
        attack: how x' is looked for, such as `igam_tf.attacks.pgd(eps=8/255,
            num_steps=10)`; KL takes the place of its loss.
        alpha: share of the adversarial image, 5/6 in the paper.
        **kwargs: `penalty`, `weight_decay`, `micro_batch`, `seed` of `TrainingMethod`.

    Raises:
        ValueError: if alpha is not a fraction, the networks do not fit together, the
            attack follows no gradient, or labels are to be smoothed.
    """

    reports: tuple[str, ...] = (
        "natural_distillation",
        "adversarial_distillation",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        attack: GradientAttack,
        *,
        alpha: float = 5 / 6,
        **kwargs: Any,
    ) -> None:
        if not isinstance(attack, GradientAttack):
            raise ValueError(
                f"attack={attack!r}: expected igam_tf.attacks.pgd(...) without "
                "restarts, or fgsm(...), whose loss the divergence from the teacher "
                "takes the place of."
            )
        super().__init__(student, attack=attack, **kwargs)
        if self.soft_labels is not None:
            self.soft_labels.check_method(type(self).__name__, learns_labels=False)
        if not 0 <= alpha <= 1:
            raise ValueError(f"alpha={alpha}: expected a fraction.")
        teachers.check_networks(student, teacher)
        self._teacher = teachers.held(teacher)
        self.alpha = alpha

    @property
    def teacher(self) -> keras.Model:
        return self._teacher.value

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        del labels, phase
        teacher_logits = self.teacher_logits(images)
        attack: Any = self.attack
        adversarial = attack.maximise(
            lambda logits: divergence(tf.cast(teacher_logits, logits.dtype), logits),
            self.student,
            images,
            seed=streams.seed_of(seed, streams.Purpose.ATTACK),
        )
        return images, (teacher_logits, adversarial)

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
        teacher_logits, adversarial = targets
        attacked = self.student(adversarial, training=True)
        logits = self.student(images, training=True)
        return self.distillation(teacher_logits, logits, attacked), logits, {}

    def distillation(
        self, teacher_logits: tf.Tensor, logits: tf.Tensor, attacked: tf.Tensor
    ) -> Terms:
        """Both terms of the loss, image by image.

        Args:
            teacher_logits: the teacher's at the natural images, (batch, classes).
            logits, attacked: the student's at natural and adversarial images.
        """
        return {
            "natural_distillation": (1 - self.alpha)
            * divergence(teacher_logits, logits),
            "adversarial_distillation": self.alpha
            * divergence(teacher_logits, attacked),
        }

    def teacher_logits(self, images: tf.Tensor) -> tf.Tensor:
        """The teacher's logits (batch, classes), in inference mode."""
        return tf.cast(self.teacher(images, training=False), keras.config.floatx())


def divergence(wanted: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """KL(softmax(wanted) || softmax(logits)) of each image.

    Args:
        wanted, logits: float tensors (batch, classes).

    Returns:
        Tensor (batch,), in nats.
    """
    theirs, ours = tf.nn.log_softmax(wanted), tf.nn.log_softmax(logits)
    return tf.reduce_sum(tf.exp(theirs) * (theirs - ours), axis=1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row rslad: adversarial distillation of the teacher's soft labels."""

    name: ClassVar[str] = "rslad"
    title: ClassVar[str] = "RSLAD"
    uses: ClassVar[frozenset[str]] = frozenset({"teacher", "finetuning", "attack"})
    needs_teacher: ClassVar[bool] = True
    has_controls: ClassVar[bool] = True
    matches_gradients: ClassVar[bool] = False

    alpha: float = setting(
        5 / 6,
        "rslad's share of the adversarial image.",
        flag="rslad_alpha",
        at_least=0,
        at_most=1,
    )
    num_steps: int = setting(
        10, "PGD steps of the row rslad.", flag="rslad_steps", at_least=1
    )

    def learns_labels(self) -> bool:
        return False

    def build(self, setup: Setup) -> TrainingMethod:
        method = RSLAD(
            setup.student,
            setup.teacher,
            setup.attack(self.num_steps),
            alpha=self.alpha,
            **setup.arguments(),
        )
        return setup.compiled(method)
