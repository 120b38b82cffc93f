"""Gradient norm regularisation (GradNorm), and double backpropagation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import gradients, losses, models
from igam_tf.settings import setting
from igam_tf.training import finite_differences, teachers
from igam_tf.training.base import TrainingMethod
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.teachers import check_choice
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.experiment import Experiment
    from igam_tf.experiment.setup import Setup

NORMS = ("l1", "squared_l2")
BATCH_NORM = ("inference", "batch")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientNormPenalty:
    """A norm of the gradient of the loss w.r.t. the image, to add to any method.

        weight * ramp * eps * || d CE / dx ||_1       (norm="l1")
        weight * ramp * || d CE / dx ||_2^2           (norm="squared_l2")

    Images are in [0, 1], so that the paper's eps / sigma is eps.

    Args:
        weight: lambda_GN, 1.2 in the paper.
        eps: radius for which the L1 norm bounds the rise of the linearised loss: 4/255
            in the paper.
        norm: "l1" (Rodriguez-Munoz et al. 2024), or "squared_l2": the double
            backpropagation of Ross & Doshi-Velez (2018).
        ramp_steps: steps over which the penalty grows from 0 to its weight.
        batch_norm: mode of the network: "inference", frozen statistics, as in the
            paper, which starts from a naturally trained network; or "batch".
        difference_step: 0, and the penalty is differentiated as it stands; or h, the L2
            length in [0, 1] pixels of the step of a finite difference, which needs no
            second derivative (`igam_tf.training.finite_differences`): 0.01 in the code
            of Finlay & Oberman (2019).

    Raises:
        ValueError: if a choice is unknown or a number is negative.
    """

    weight: float = 1.2
    eps: float = 4 / 255
    norm: str = "l1"
    ramp_steps: int = 0
    batch_norm: str = "inference"
    difference_step: float = 0.0

    #: Name of the term in the logs.
    name: ClassVar[str] = "input_gradient_norm"

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)
        check_choice("batch_norm", self.batch_norm, BATCH_NORM)
        teachers.check_numbers(
            weight=self.weight,
            eps=self.eps,
            ramp_steps=self.ramp_steps,
            difference_step=self.difference_step,
        )

    def check_student(self, student: keras.Model) -> None:
        """Raises ValueError if a difference of a student's losses would be noise."""
        dtype = models.compute_dtype(student)
        if self.difference_step and dtype in ("float16", "bfloat16"):
            raise ValueError(
                f"difference_step={self.difference_step:g} with a student that "
                f"computes in {dtype}: expected float32, because two losses so close "
                "differ by less than their rounding; leave difference_step at 0."
            )

    @property
    def training(self) -> bool:
        """Mode of the network: whether batch norm takes the batch's statistics."""
        return self.batch_norm == "batch"

    @property
    def input_gradient_mode(self) -> bool | None:
        """`training`; None if no input gradient is differentiated again."""
        return None if self.difference_step else self.training

    def terms(
        self, method: TrainingMethod, images: tf.Tensor, labels: tf.Tensor
    ) -> Terms:
        """The penalty of each image, by a gradient of its own.

        Args:
            method: compiled `TrainingMethod`, whose steps the ramp counts.
            images, labels: the batch.

        Returns:
            Dict of one term (batch,).
        """
        step = method.optimizer.iterations
        return {self.name: self.and_logits(method.student, images, labels, step)[0]}

    def and_logits(
        self,
        model: keras.Model,
        images: tf.Tensor,
        labels: tf.Tensor,
        step: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The penalty of each image at a step (batch,), and the logits of its pass."""
        if not self.difference_step:
            gradient, logits = self.gradient_and_logits(model, images, labels)
            return self.of(gradient, step), logits
        size, logits = finite_differences.gradient_size(
            model,
            images,
            labels,
            norm=self.norm,
            step=self.difference_step,
            training=self.training,
        )
        return self.weighted(size, step), logits

    def gradient_and_logits(
        self, model: keras.Model, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The penalised gradient, and the logits of the same pass."""
        return gradients.input_gradient_and_logits(
            model, images, labels, of="loss", training=self.training
        )

    def of(self, gradient: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The penalty of input gradients (batch, ...) at a step: (batch,)."""
        axes = list(range(1, gradient.shape.rank))
        size = tf.abs(gradient) if self.norm == "l1" else tf.square(gradient)
        return self.weighted(tf.reduce_sum(size, axis=axes), step)

    def weighted(self, size: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The penalty of gradients whose norm is `size` (batch,), at a step."""
        if self.norm == "l1":
            size = self.eps * size
        return self.weight * self.ramp(step) * size

    def ramp(self, step: tf.Tensor) -> tf.Tensor | float:
        """Factor between 0 and 1: the first step has 1 / ramp_steps of the weight."""
        if not self.ramp_steps:
            return 1.0
        done = tf.cast(tf.convert_to_tensor(step) + 1, tf.float32) / self.ramp_steps
        return tf.minimum(done, 1.0)


class GradNorm(TrainingMethod):
    """Natural training with a penalty on the norm of the input gradient.

        L = cross_entropy_weight * CE + penalty

    Natural images only; Rodriguez-Munoz, Wang, Torralba, ECCV 2024. It needs smooth
    activations (`igam_tf.models.swap_activations`): with ReLU the penalty has no
    curvature to work on. The paper clips the global norm of the weights' gradient to 1
    (`global_clipnorm` of the optimizer) and evaluates averaged weights (`use_ema`).

    Args:
        student: keras.Model from images to logits.
        cross_entropy_weight: lambda_CE, 0.8 in the paper.
        gradient_norm: `GradientNormPenalty`.
        **kwargs: `attack`, `weight_decay`, `micro_batch`, `seed` of `TrainingMethod`,
            whose `penalty` has the name of this one and is refused.
    """

    reports: tuple[str, ...] = ("cross_entropy", GradientNormPenalty.name, "grad_norm")

    def __init__(
        self,
        student: keras.Model,
        *,
        cross_entropy_weight: float = 0.8,
        gradient_norm: GradientNormPenalty = GradientNormPenalty(),
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        teachers.check_numbers(cross_entropy_weight=cross_entropy_weight)
        gradient_norm.check_student(student)
        self.cross_entropy_weight = cross_entropy_weight
        self.gradient_norm = gradient_norm
        self.input_gradient_mode = gradient_norm.input_gradient_mode

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del targets, phase, global_batch
        penalty = self.gradient_norm
        step = self.optimizer.iterations
        size, logits = penalty.and_logits(self.student, images, labels, step)
        loss = losses.cross_entropy(logits, labels)
        terms = {
            "cross_entropy": self.cross_entropy_weight * loss,
            penalty.name: size,
        }
        return terms, logits, {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row gradient_norm: small input gradients."""

    name: ClassVar[str] = "gradient_norm"
    title: ClassVar[str] = "GradNorm"

    cross_entropy_weight: float = setting(
        0.8, "lambda_CE of the row gradient_norm.", at_least=0
    )
    weight: float = setting(
        1.2,
        "lambda_GN of the row gradient_norm.",
        flag="gradient_norm_weight",
        at_least=0,
    )
    start: str = setting(
        "standard",
        "Where the row gradient_norm starts: the trained row standard, or scratch.",
        flag="gradient_norm_start",
        choices=("standard", "scratch"),
    )
    ema_momentum: float = setting(
        0.0,
        "Momentum of averaged weights, which the row gradient_norm ends with; 0: none.",
        at_least=0,
        below=1,
    )

    def check(self, experiment: Experiment) -> None:
        step, precision = experiment.penalty.difference_step, experiment.run.precision
        if step and precision != "float32":
            raise ValueError(
                f"--gradient_norm_difference_step={step:g} with --precision="
                f"{precision}: expected --precision=float32, because two losses so "
                "close differ by less than their rounding in half precision."
            )

    def starts_from(self) -> str:
        return "" if self.start == "scratch" else self.start

    def build(self, setup: Setup) -> TrainingMethod:
        arguments = setup.arguments(shapes_gradients=True)
        # Its own penalty has the name of the one beside other methods.
        arguments["penalty"] = None
        method = GradNorm(
            setup.student,
            cross_entropy_weight=self.cross_entropy_weight,
            gradient_norm=setup.penalty(self.weight),
            **arguments,
        )
        return setup.compiled(
            method,
            clip_norm=setup.experiment.penalty.clip_norm,
            ema_momentum=self.ema_momentum,
        )
