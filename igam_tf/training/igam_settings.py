"""The row igam of a run: its settings, and how IGAM is built of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from igam_tf.settings import setting
from igam_tf.training import distances, teachers
from igam_tf.training.igam import DISTANCES, IGAM
from igam_tf.training.method_settings import GROUPS, MethodSettings

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.base import TrainingMethod


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
    distance: str = setting(
        "squared_l2",
        "L_diff: squared L2 (the paper), or a distance of directions alone: cosine, or "
        "the L2 distance of gradients over their L2 norms; weight it anew.",
        flag="matching_distance",
        choices=DISTANCES,
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
    distillation_weight: float = setting(
        0.0,
        "Weight of the distillation of the teacher's logits in the row igam, beside "
        "the matching; 0: none (the paper).",
        flag="igam_distillation_weight",
        at_least=0,
    )
    temperature: float = setting(
        1.0,
        "Temperature of that distillation.",
        flag="igam_temperature",
        above=0,
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

    def label(self) -> str:
        return f"{self.title}{distances.in_label(self.distance)}"

    def controls(self) -> tuple[str, ...]:
        return distances.controls(super().controls(), self.distance)

    def check(self, experiment: Experiment) -> None:
        distances.check_controls(experiment, self, flag="matching_distance")

    def build(self, setup: Setup) -> TrainingMethod:
        method = IGAM(
            setup.student,
            setup.teacher,
            setup.discriminator(teachers.input_shape(setup.teacher)),
            adversarial_weight=self.adversarial_weight,
            difference_weight=self.difference_weight,
            pixel_range=self.pixel_range,
            distance=self.distance,
            input_gradient_of=self.input_gradient_of,
            difference_reduction=self.difference_reduction,
            distillation_weight=self.distillation_weight,
            temperature=self.temperature,
            teacher_batch_norm=setup.experiment.teacher.batch_norm,
            moving_variance=self.moving_variance,
            matched_to=setup.matched_to,
            discriminator_every=self.discriminator_every,
            **setup.matching_arguments(),
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled_with_discriminator(method)
