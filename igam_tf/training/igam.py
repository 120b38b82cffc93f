"""Input gradient adversarial matching (IGAM)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import gradients, losses, models
from igam_tf.models.normalization import GREY_LEVELS
from igam_tf.settings import setting
from igam_tf.training import teachers
from igam_tf.training.matched import MATCHED_TO, MatchedMethod, gradient_to_match
from igam_tf.training.matching import PLAIN, AdversarialMatching
from igam_tf.training.method_settings import GROUPS, MethodSettings
from igam_tf.training.teachers import check_choice
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.base import TrainingMethod


class IGAM(MatchedMethod, AdversarialMatching):
    """A student whose input gradients learn to look like a robust teacher's.

        L = L_xent + adversarial_weight * L_adv + difference_weight * L_diff    (14)

    L_adv is minus the discriminator's cross entropy, L_diff the squared L2 distance of
    the two input gradients. Every `discriminator_every` steps, the discriminator is
    updated after the student, on the same batch (12). Defaults are the semantics of the
    authors' code (docs/paper.md, "Where paper and code differ"), but for the teacher's
    batch norm, the moving variance, and weight decay and schedule, which
    `training.reference` has.

    Args:
        student: keras.Model from target images to logits.
        teacher: robust keras.Model from the same images to the same classes, input
            transform included; see `igam_tf.finetune`. Its weights are never changed,
            and stay as trainable as they were.
        discriminator: keras.Model from input gradients to two logits, see
            `igam_tf.models.discriminator`.
        adversarial_weight: lambda_adv.
        difference_weight: lambda_diff.
        pixel_range: range of the pixels that the matched gradients are taken for: 255,
            grey levels, for which the paper's lambdas were tuned, or 1. A weight w
            for 1 equals 255**2 * w for 255. The discriminator, which is to look at
            directions only, sees gradients per grey level in either case.
        input_gradient_of: "probability" of the true class (the authors' code, for
            which the paper's lambdas were tuned) or "loss" (the paper, Eq. 8, 9).
        difference_reduction: "sum" of L_diff over the batch (the authors' code: its
            weight grows with the batch) or "mean" over images. A weight w of sums
            equals batch * w of means.
        teacher_batch_norm: "inference", or "batch" as in the authors' code: batch
            statistics, which also moves the teacher's moving statistics.
        moving_variance: "biased", as Keras averages it, or "unbiased" as in the
            authors' code: `models.unbias_moving_variance` changes all three networks.
        matched_to: "teacher"; or, for a control, what takes the place of the teacher's
            gradient in both terms: "zero", or the teacher's gradient at another image
            of the "same_class" or of an "other_class", for data with partners (see
            `igam_tf.data.training_batches`).
        **kwargs: `matching_start`, `discriminator_every`, `discriminator_input` of
            `AdversarialMatching`, and what it takes of `TrainingMethod`.

    Raises:
        ValueError: if a choice is unknown or the three networks do not fit together.
    """

    reports: tuple[str, ...] = (
        "cross_entropy",
        "adversarial",
        "difference",
        "discriminator_loss",
        "discriminator_accuracy",
        "gradient_cosine",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        discriminator: keras.Model,
        *,
        adversarial_weight: float = 2.0,
        difference_weight: float = 10.0,
        pixel_range: float = 255.0,
        input_gradient_of: str = "probability",
        difference_reduction: str = "sum",
        teacher_batch_norm: str = "inference",
        moving_variance: str = "biased",
        matched_to: str = "teacher",
        **kwargs: Any,
    ) -> None:
        super().__init__(student, discriminator, **kwargs)
        check_choice("input_gradient_of", input_gradient_of, gradients.OBJECTIVES)
        check_choice("difference_reduction", difference_reduction, ("sum", "mean"))
        check_choice("teacher_batch_norm", teacher_batch_norm, ("inference", "batch"))
        teachers.check_numbers(
            adversarial_weight=adversarial_weight, difference_weight=difference_weight
        )
        check_choice("moving_variance", moving_variance, ("biased", "unbiased"))
        check_choice("matched_to", matched_to, MATCHED_TO)
        teachers.check_networks(student, teacher, discriminator)
        if moving_variance == "unbiased":
            for network in (student, teacher, discriminator):
                models.unbias_moving_variance(network)
        self._teacher = teachers.held(teacher, batch_norm=teacher_batch_norm)
        self.adversarial_weight = adversarial_weight
        self.difference_weight = difference_weight
        self.pixel_range = pixel_range
        self.input_gradient_of = input_gradient_of
        self.difference_reduction = difference_reduction
        self.teacher_batch_norm = teacher_batch_norm
        self.matched_to = matched_to

    @property
    def teacher(self) -> keras.Model:
        return self._teacher.value

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        images, partners = self.images_and_partners(images)
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        if phase == PLAIN:
            return images, ()
        return images, self.teacher_gradient(images, labels, partners)

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        if phase == PLAIN:
            logits = self.student(images, training=True)
            return {"cross_entropy": losses.cross_entropy(logits, labels)}, logits, {}
        teacher_gradient = targets
        student_gradient, logits = self.student_gradient(images, labels)
        discriminator_loss, correct = self.discriminate(
            student_gradient, teacher_gradient
        )
        difference = tf.reduce_sum(
            tf.square(student_gradient - teacher_gradient), axis=(1, 2, 3)
        )
        if self.difference_reduction == "sum":
            difference *= global_batch
        terms = {
            "cross_entropy": losses.cross_entropy(logits, labels),
            "adversarial": -self.adversarial_weight * discriminator_loss,
            "difference": self.difference_weight * difference,
        }
        report = {
            "discriminator_loss": discriminator_loss,
            "discriminator_accuracy": correct,
            "gradient_cosine": gradients.per_image_cosine(
                student_gradient, teacher_gradient
            ),
            "student_input": student_gradient,
        }
        return terms, logits, report

    def discriminator_inputs(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        student_input: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        if student_input is not None:
            return student_input, targets
        student_gradient, _ = self.student_gradient(images, labels)
        if self.teacher_batch_norm == "batch" and self.matched_to == "teacher":
            # The authors run the teacher anew, which moves its statistics once more.
            targets = self.teacher_gradient(images, labels)
        return student_gradient, targets

    def discriminate(
        self, first: tf.Tensor, second: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`AdversarialMatching.discriminate`, of gradients per grey level.

        Its floor for small gradients is meant for that unit, whatever the pixel range.
        """
        if self.pixel_range != GREY_LEVELS:
            factor = self.pixel_range / GREY_LEVELS
            first, second = first * factor, second * factor
        return super().discriminate(first, second)

    # Both input gradients.

    def teacher_gradient(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        partners: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """J_t, through the input transform (Eq. 17), or what a control has for it."""
        gradient, _ = gradient_to_match(
            self.matched_to,
            self.teacher,
            images,
            labels,
            partners,
            of=self.input_gradient_of,
            training=self.teacher_batch_norm == "batch",
        )
        return gradient / self.pixel_range

    def student_gradient(
        self, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """J_s, and the student's logits."""
        gradient, logits = gradients.input_gradient_and_logits(
            self.student, images, labels, of=self.input_gradient_of, training=True
        )
        return gradient / self.pixel_range, logits


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row igam: matching with the input gradients of the finetuned teacher."""

    name: ClassVar[str] = "igam"
    title: ClassVar[str] = "IGAM"
    uses: ClassVar[frozenset[str]] = GROUPS
    needs_teacher: ClassVar[bool] = True
    has_controls: ClassVar[bool] = True

    adversarial_weight: float = setting(2.0, "lambda_adv.", at_least=0)
    difference_weight: float = setting(
        10.0, "lambda_diff, for gradients per unit of pixel_range.", at_least=0
    )
    pixel_range: float = setting(
        255.0,
        "Pixel range of the matched gradients: 255 grey levels (the paper's lambdas) "
        "or 1.",
        above=0,
    )
    input_gradient_of: str = setting(
        "probability",
        "What the matched gradient is of: the true class' probability (the authors' "
        "code) or the loss (the paper).",
        choices=("probability", "loss"),
    )
    difference_reduction: str = setting(
        "sum",
        "L_diff summed over the batch (the authors' code) or its mean over images.",
        choices=("sum", "mean"),
    )
    moving_variance: str = setting(
        "biased",
        "What batch norm averages while matching: Keras' biased variance, or the "
        "unbiased one of TensorFlow 1 (the authors' code).",
        choices=("biased", "unbiased"),
    )
    discriminator_every: int = setting(
        5, "Student steps for each step of the discriminator.", at_least=1
    )

    def build(self, setup: Setup) -> TrainingMethod:
        method = IGAM(
            setup.student,
            setup.teacher,
            setup.discriminator(teachers.input_shape(setup.teacher)),
            adversarial_weight=self.adversarial_weight,
            difference_weight=self.difference_weight,
            pixel_range=self.pixel_range,
            input_gradient_of=self.input_gradient_of,
            difference_reduction=self.difference_reduction,
            teacher_batch_norm=setup.experiment.teacher.batch_norm,
            moving_variance=self.moving_variance,
            matched_to=setup.matched_to,
            discriminator_every=self.discriminator_every,
            **setup.matching_arguments(),
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled_with_discriminator(method)
