"""Jacobian adversarially regularised networks (JARN)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import tensorflow as tf

from igam_tf import gradients, losses
from igam_tf.derivatives import directions
from igam_tf.models.data_format import channels_last
from igam_tf.settings import naming, setting
from igam_tf.training import teachers
from igam_tf.training.matching import PLAIN, AdversarialMatching
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.terms import Terms

if TYPE_CHECKING:
    from igam_tf.experiment.setup import Setup
    from igam_tf.training.base import TrainingMethod


class JARN(AdversarialMatching):
    """A student whose input gradients learn to look like images, without a teacher.

        L = L_xent - adversarial_weight * L_disc

    The discriminator tells natural images from adaptor(J), J the input gradient of the
    true class' probability; the adaptor, one 1x1 convolution and tanh of the centred,
    L2-normalised J, is trained with the student to fool it. Chan et al., ICLR 2020.
    There student and adaptor have a weight each (lambda, gamma), both 1; here they
    share one.

    Its published robustness did not hold up: 15.5 % as reported, 0.26 % under
    AutoAttack.

    Args:
        student: keras.Model from images to logits.
        discriminator: keras.Model from images to two logits, see
            `igam_tf.models.discriminator`; in the paper 5 convolutions from 32
            channels.
        adversarial_weight: lambda and gamma.
        **kwargs: `matching_start`, `discriminator_every` (20, as in the paper) of
            `AdversarialMatching`, and what it takes of `TrainingMethod`.

    Raises:
        ValueError: if the two networks do not fit together.
    """

    reports: tuple[str, ...] = (
        "cross_entropy",
        "adversarial",
        "discriminator_loss",
        "discriminator_accuracy",
        "grad_norm",
    )

    def __init__(
        self,
        student: keras.Model,
        discriminator: keras.Model,
        *,
        adversarial_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("discriminator_every", 20)
        super().__init__(student, discriminator, **kwargs)
        teachers.check_numbers(adversarial_weight=adversarial_weight)
        teachers.check_networks(student, discriminator=discriminator)
        self.adversarial_weight = adversarial_weight
        self.adaptor = make_adaptor(student.input_shape[1:])

    @property
    def trained_variables(self) -> list[keras.Variable]:
        return self.student.trainable_variables + self.adaptor.trainable_variables

    def loss_terms(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        phase: str,
        global_batch: tf.Tensor,
    ) -> tuple[Terms, tf.Tensor, Terms]:
        del targets, global_batch
        if phase == PLAIN:
            logits = self.student(images, training=True)
            return {"cross_entropy": losses.cross_entropy(logits, labels)}, logits, {}
        looks, logits = self.gradient_as_image(images, labels)
        loss, correct = self.discriminate(looks, images)
        terms = {
            "cross_entropy": losses.cross_entropy(logits, labels),
            "adversarial": -self.adversarial_weight * loss,
        }
        report = {
            "discriminator_loss": loss,
            "discriminator_accuracy": correct,
            "student_input": looks,
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
        del targets
        if student_input is not None:
            return student_input, images
        return self.gradient_as_image(images, labels)[0], images

    def gradient_as_image(
        self, images: tf.Tensor, labels: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """adaptor(J), and the student's logits."""
        gradient, logits = gradients.input_gradient_and_logits(
            self.student, images, labels, of="probability", training=True
        )
        return tf.cast(self.adaptor(gradient), gradient.dtype), logits


@channels_last()
def make_adaptor(image_shape: tuple[int, int, int]) -> keras.Model:
    """The adaptor: centred, L2-normalised gradients -> 1x1 convolution -> tanh.

    Args:
        image_shape: (height, width, channels).

    Returns:
        keras.Model from gradients to tensors of their shape in [-1, 1].
    """
    inputs = keras.Input(image_shape, name="input_gradient")
    axes = (1, 2, 3)
    centred = inputs - keras.ops.mean(inputs, axis=axes, keepdims=True)
    outputs = keras.layers.Conv2D(
        image_shape[-1], 1, activation="tanh", name="adaptor"
    )(directions.direction(centred, axes, smallest=directions.SMALLEST_GRADIENT))
    return keras.Model(inputs, outputs, name="adaptor")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(MethodSettings):
    """The row jarn: input gradients that look like images."""

    name: ClassVar[str] = "jarn"
    title: ClassVar[str] = "JARN"

    weight: float = setting(
        1.0, "lambda and gamma of the row jarn.", flag="jarn_weight", at_least=0
    )
    discriminator_every: int = setting(
        20,
        "Student steps for each discriminator step of the row jarn.",
        flag="jarn_discriminator_every",
        at_least=1,
    )

    def check_row(self, setup: Setup) -> None:
        with naming("--discriminator, --discriminator_channels"):
            setup.discriminator()

    def build(self, setup: Setup) -> TrainingMethod:
        method = JARN(
            setup.student,
            setup.discriminator(),
            adversarial_weight=self.weight,
            discriminator_every=self.discriminator_every,
            **setup.matching_arguments(),
            **setup.arguments(shapes_gradients=True),
        )
        return setup.compiled_with_discriminator(method)
