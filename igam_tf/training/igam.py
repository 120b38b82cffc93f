"""Input gradient adversarial matching (IGAM)."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from igam_tf import gradients, losses, models
from igam_tf.models.normalization import GREY_LEVELS
from igam_tf.training import distances, teachers
from igam_tf.training.matched import MATCHED_TO, MatchedMethod, gradient_to_match
from igam_tf.training.matching import PLAIN, AdversarialMatching
from igam_tf.training.rslad import divergence
from igam_tf.training.teachers import check_choice
from igam_tf.training.terms import Terms

#: Distances that L_diff may be.
DISTANCES = ("squared_l2", *distances.OF_DIRECTIONS)


class IGAM(MatchedMethod, AdversarialMatching):
    """A student whose input gradients learn to look like a robust teacher's.

        L = L_xent + adversarial_weight * L_adv + difference_weight * L_diff    (14)
            + distillation_weight * T^2 KL(teacher || student)

    The last term is not in the paper, and 0 by default.

    L_adv is minus the discriminator's cross entropy, L_diff the distance of the two
    input gradients, squared L2 in the paper. Every `discriminator_every` steps, the
    discriminator is updated after the student, on the same batch (12). Defaults are the
    semantics of the authors' code (docs/paper.md, "Where paper and code differ"), but
    for the teacher's batch norm, the moving variance, and weight decay and schedule,
    which `training.reference` has.

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
        distance: "squared_l2"; or one of the gradients' directions: "cosine" or
            "normalized_l2", which do not depend on the pixel range, and which a
            vanishing gradient is no way to minimise. See `training.distances`.
        input_gradient_of: "probability" of the true class (the authors' code, for
            which the paper's lambdas were tuned) or "loss" (the paper, Eq. 8, 9).
        difference_reduction: "sum" of L_diff over the batch (the authors' code: its
            weight grows with the batch) or "mean" over images. A weight w of sums
            equals batch * w of means.
        distillation_weight: of the teacher's logits, whose softmax at the temperature T
            the student's is to be, from the first step of matching on (Hinton et al.
            2015). Controls distil the same logits, but for those with another teacher.
        temperature: T.
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
        distance: str = "squared_l2",
        input_gradient_of: str = "probability",
        difference_reduction: str = "sum",
        distillation_weight: float = 0.0,
        temperature: float = 1.0,
        teacher_batch_norm: str = "inference",
        moving_variance: str = "biased",
        matched_to: str = "teacher",
        **kwargs: Any,
    ) -> None:
        # Over forty lines because of its arguments.
        if distillation_weight:
            self.reports = (*self.reports, "distillation")
        super().__init__(student, discriminator, **kwargs)
        check_choice("input_gradient_of", input_gradient_of, gradients.OBJECTIVES)
        check_choice("difference_reduction", difference_reduction, ("sum", "mean"))
        check_choice("teacher_batch_norm", teacher_batch_norm, ("inference", "batch"))
        teachers.check_numbers(
            adversarial_weight=adversarial_weight,
            difference_weight=difference_weight,
            distillation_weight=distillation_weight,
        )
        if temperature <= 0:
            raise ValueError(f"temperature={temperature}: expected a number above 0.")
        check_choice("moving_variance", moving_variance, ("biased", "unbiased"))
        check_choice("matched_to", matched_to, MATCHED_TO)
        distances.check(distance, DISTANCES, matched_to)
        teachers.check_networks(student, teacher, discriminator)
        if moving_variance == "unbiased":
            for network in (student, teacher, discriminator):
                models.unbias_moving_variance(network)
        self._teacher = teachers.held(teacher, batch_norm=teacher_batch_norm)
        self.adversarial_weight = adversarial_weight
        self.difference_weight = difference_weight
        self.pixel_range = pixel_range
        self.distance = distance
        self.input_gradient_of = input_gradient_of
        self.difference_reduction = difference_reduction
        self.distillation_weight = distillation_weight
        self.temperature = temperature
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
        return images, self._of_teacher(images, labels, partners)

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
        teacher_gradient, teacher_logits = targets
        student_gradient, logits = self.student_gradient(images, labels)
        discriminator_loss, correct = self.discriminate(
            student_gradient, teacher_gradient
        )
        difference = self.difference(student_gradient, teacher_gradient)
        if self.difference_reduction == "sum":
            difference *= global_batch
        terms = {
            "cross_entropy": losses.cross_entropy(logits, labels),
            "adversarial": -self.adversarial_weight * discriminator_loss,
            "difference": self.difference_weight * difference,
        }
        if self.distillation_weight:
            distilled = divergence(
                teacher_logits / self.temperature, logits / self.temperature
            )
            weight = self.distillation_weight * self.temperature**2
            terms["distillation"] = weight * distilled
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
        teacher_gradient, _ = targets
        if student_input is not None:
            return student_input, teacher_gradient
        student_gradient, _ = self.student_gradient(images, labels)
        if self.teacher_batch_norm == "batch" and self.matched_to == "teacher":
            # The authors run the teacher anew, which moves its statistics once more.
            teacher_gradient = self.teacher_gradient(images, labels)
        return student_gradient, teacher_gradient

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

    # Both input gradients, and their distance.

    def difference(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """L_diff of each image: tensors like images to (batch,)."""
        if self.distance == "squared_l2":
            return tf.reduce_sum(tf.square(first - second), axis=(1, 2, 3))
        return distances.between_directions(
            first, second, distance=self.distance, pixel_range=self.pixel_range
        )

    def teacher_gradient(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        partners: tuple[tf.Tensor, tf.Tensor] | None = None,
    ) -> tf.Tensor:
        """J_t, through the input transform (Eq. 17), or what a control has for it."""
        return self._of_teacher(images, labels, partners)[0]

    def _of_teacher(self, images, labels, partners):
        gradient, logits = gradient_to_match(
            self.matched_to,
            self.teacher,
            images,
            labels,
            partners,
            of=self.input_gradient_of,
            training=self.teacher_batch_norm == "batch",
        )
        return gradient / self.pixel_range, logits

    def student_gradient(
        self, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """J_s, and the student's logits."""
        gradient, logits = gradients.input_gradient_and_logits(
            self.student, images, labels, of=self.input_gradient_of, training=True
        )
        return gradient / self.pixel_range, logits
