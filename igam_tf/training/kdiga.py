"""Knowledge distillation with input gradient alignment (KDIGA)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import gradients, losses
from igam_tf.settings import setting
from igam_tf.training import distances, teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.matched import MATCHED_TO, MatchedMethod, gradient_to_match
from igam_tf.training.method_settings import GROUPS, MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.setup import Setup

#: Distances that the gradients' term may have.
DISTANCES = ("l2", *distances.OF_DIRECTIONS)


class KDIGA(MatchedMethod, TrainingMethod):
    """Distillation of a robust teacher, whose input gradients the student copies.

        L = alpha T^2 KL(student || teacher) + (1 - alpha) CE
            + (gradient_weight / B) || d CE_s / dx - d CE_t / dx ||_2

    The norm is that of the whole batch, not squared, hence taken over the images that
    one replica holds at a time. Natural images only. Shao et al. 2021.

    Args:
        student: keras.Model from images to logits.
        teacher: robust keras.Model from the same images to the same classes, see
            `igam_tf.finetune`; never changed.
        alpha: share of the distillation, 0.5 in the paper.
        temperature: T, 1 in the paper.
        gradient_weight: gamma, 0.5 to 1000 in the paper.
        distance: "l2", that of the formula; or the mean over images of the distance of
            their gradients' directions, "cosine" or "normalized_l2", see
            `training.distances`.
        matched_to: as of `IGAM`: "teacher", or a control's gradient in place of the
            teacher's. The distilled logits are the teacher's all the same.
        **kwargs: `attack`, `penalty`, `weight_decay`, `micro_batch`, `seed` of
            `TrainingMethod`.

    Raises:
        ValueError: if alpha is not a fraction or the networks do not fit together.
    """

    input_gradient_mode: bool | None = True
    reports: tuple[str, ...] = (
        "cross_entropy",
        "distillation",
        "difference",
        "gradient_cosine",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        teacher: keras.Model,
        *,
        alpha: float = 0.5,
        temperature: float = 1.0,
        gradient_weight: float = 10.0,
        distance: str = "l2",
        matched_to: str = "teacher",
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        teachers.check_choice("matched_to", matched_to, MATCHED_TO)
        distances.check(distance, DISTANCES, matched_to)
        if not 0 <= alpha <= 1 or temperature <= 0:
            raise ValueError(
                f"alpha={alpha}, temperature={temperature}: expected a fraction and a "
                "number above 0."
            )
        teachers.check_numbers(gradient_weight=gradient_weight)
        teachers.check_networks(student, teacher)
        self._teacher = teachers.held(teacher)
        self.alpha = alpha
        self.temperature = temperature
        self.gradient_weight = gradient_weight
        self.distance = distance
        self.matched_to = matched_to

    @property
    def teacher(self) -> keras.Model:
        return self._teacher.value

    def prepare(
        self, images: Any, labels: tf.Tensor, *, phase: str, seed: tf.Tensor
    ) -> tuple[Any, Any]:
        images, partners = self.images_and_partners(images)
        images, _ = super().prepare(images, labels, phase=phase, seed=seed)
        return images, gradient_to_match(
            self.matched_to, self.teacher, images, labels, partners, of="loss"
        )

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del phase, global_batch
        teacher_gradient, teacher_logits = targets
        gradient, logits = gradients.input_gradient_and_logits(
            self.student, images, labels, of="loss", training=True
        )
        ours = tf.nn.log_softmax(logits / self.temperature)
        theirs = tf.nn.log_softmax(teacher_logits / self.temperature)
        divergence = tf.reduce_sum(tf.exp(ours) * (ours - theirs), axis=1)
        loss = losses.cross_entropy(logits, labels)
        terms = {
            "cross_entropy": (1 - self.alpha) * loss,
            "distillation": self.alpha * self.temperature**2 * divergence,
            "difference": self.gradient_weight
            * self.difference(gradient, teacher_gradient),
        }
        cosine = gradients.per_image_cosine(gradient, teacher_gradient)
        return terms, logits, {"gradient_cosine": cosine}

    def difference(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        """The term of two batches of gradients that each image carries: (batch,)."""
        if self.distance in distances.OF_DIRECTIONS:
            return distances.between_directions(first, second, distance=self.distance)
        ones = tf.ones_like(first[:, 0, 0, 0])
        # Every image carries an equal part of the norm of all of them.
        return ones * (_norm(first - second) / tf.cast(tf.size(ones), ones.dtype))


def _norm(values):
    # Its derivative is 1 at most; the floor makes it 0 where the difference vanishes.
    return tf.sqrt(tf.reduce_sum(tf.square(values)) + 1e-20)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row kdiga: distillation and input gradients of the finetuned teacher."""

    name: ClassVar[str] = "kdiga"
    title: ClassVar[str] = "KDIGA"
    uses: ClassVar[frozenset[str]] = GROUPS
    needs_teacher: ClassVar[bool] = True
    has_controls: ClassVar[bool] = True

    weight: float = setting(
        10.0, "gamma of the row kdiga.", flag="kdiga_weight", at_least=0
    )
    alpha: float = setting(
        0.5,
        "kdiga's share of the distillation.",
        flag="kdiga_alpha",
        at_least=0,
        at_most=1,
    )
    temperature: float = setting(
        1.0, "kdiga's temperature.", flag="kdiga_temperature", above=0
    )

    distance: str = setting(
        "l2",
        "Distance of the gradients in the row kdiga: l2 of the batch (the paper), or "
        "of directions: cosine, or normalized_l2.",
        flag="kdiga_distance",
        choices=DISTANCES,
    )

    def label(self) -> str:
        return f"{self.title}{distances.in_label(self.distance)}"

    def controls(self) -> tuple[str, ...]:
        return distances.controls(super().controls(), self.distance)

    def check(self, experiment: Experiment) -> None:
        distances.check_controls(experiment, self, flag="kdiga_distance")

    def build(self, setup: Setup) -> TrainingMethod:
        method = KDIGA(
            setup.student,
            setup.teacher,
            alpha=self.alpha,
            temperature=self.temperature,
            gradient_weight=self.weight,
            distance=self.distance,
            matched_to=setup.matched_to,
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled(method)
