"""What methods with a discriminator share: its loss, input and updates."""

from typing import Any

import keras
import tensorflow as tf

from igam_tf import losses, transforms
from igam_tf.data import check_count
from igam_tf.models.discriminator import STUDENT_CLASS, TEACHER_CLASS
from igam_tf.training import checks, micro_batches, terms
from igam_tf.training.base import TrainingMethod
from igam_tf.training.optimizers import (
    apply_gradients,
    decay_kernels_only,
    following,
    with_loss_scale,
)
from igam_tf.training.teachers import check_choice

PLAIN, MATCHING = "plain", "matching"
DISCRIMINATOR_INPUTS = ("after_update", "before_update")


class AdversarialMatching(TrainingMethod):
    """Plain training up to a step, then adversarial training against a discriminator.

    A subclass defines in `discriminator_inputs` what the discriminator tells apart.
    Every `discriminator_every` steps, it is updated after the student, on the same
    batch.

    Args:
        student: keras.Model from images to logits.
        discriminator: keras.Model from what it sees to two logits: 0 is the student's,
            1 the reference's. See `igam_tf.models.discriminator`.
        matching_start: number of steps of plain training before matching begins.
        discriminator_every: k, student steps per discriminator step.
        discriminator_input: what the discriminator learns from: the student's gradients
            "after_update" of the student (the authors' code), which takes two more
            passes, or those of its step, "before_update" (the paper's Algorithm 1).
        **kwargs: `attack`, `weight_decay` (of discriminator and student), `penalty`,
            `micro_batch`, `seed` of `TrainingMethod`.

    Raises:
        ValueError: if a number is out of range.
    """

    phases: tuple[str, ...] = (PLAIN, MATCHING)

    kept: tuple[str, ...] = ("student_input",)
    input_gradient_mode: bool | None = True

    def __init__(
        self,
        student: keras.Model,
        discriminator: keras.Model,
        *,
        matching_start: int = 0,
        discriminator_every: int = 5,
        discriminator_input: str = "after_update",
        **kwargs: Any,
    ) -> None:
        super().__init__(student, **kwargs)
        check_choice("discriminator_input", discriminator_input, DISCRIMINATOR_INPUTS)
        check_count("discriminator_every", discriminator_every)
        check_count("matching_start", matching_start, at_least=0)
        self.discriminator = discriminator
        self.matching_start = matching_start
        if not matching_start:
            # A phase that never comes would be traced and compiled all the same.
            self.phases = (MATCHING,)
        self.discriminator_every = discriminator_every
        self.discriminator_input = discriminator_input

    def compile(
        self,
        optimizer: keras.optimizers.Optimizer | str,
        discriminator_optimizer: keras.optimizers.Optimizer | str | None = None,
        **kwargs: Any,
    ) -> None:
        """Configures training with two optimizers.

        Args:
            optimizer: optimizer of the student.
            discriminator_optimizer: optimizer of the discriminator; by default one
                with the student's settings and schedule, as in the authors' code.
            **kwargs: see `TrainingMethod.compile`.
        """
        super().compile(optimizer, **kwargs)
        if discriminator_optimizer is None:
            discriminator_optimizer = following(
                self.optimizer,
                start=self.matching_start,
                every=self.discriminator_every,
            )
            decay_kernels_only(
                discriminator_optimizer, self.discriminator.trainable_variables
            )
        self.discriminator_optimizer = with_loss_scale(
            discriminator_optimizer, self.discriminator
        )
        checks.check_optimizer(self.discriminator_optimizer)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def all_trained_variables(self) -> list[keras.Variable]:
        return super().all_trained_variables + self.discriminator.trainable_variables

    def discriminator_inputs(
        self,
        images: tf.Tensor,
        labels: tf.Tensor,
        targets: Any,
        *,
        student_input: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What the discriminator sees of the student, and the reference.

        Args:
            images, labels, targets: as `loss_terms` gets them in the phase MATCHING.
            student_input: what `loss_terms` reported by this name; None to compute it
                with the student as it is now.

        Returns:
            Tuple of two tensors (batch, ...) of one shape.
        """
        raise TypeError(
            f"{type(self).__name__} does not define its discriminator_inputs."
        )

    def phase(self, step: tf.Tensor) -> tf.Tensor:
        if len(self.phases) == 1:
            return super().phase(step)
        return tf.cast(step >= self.matching_start, tf.int32)

    def second_update_due(self, step: tf.Tensor) -> tf.Tensor | None:
        matching = step >= self.matching_start
        return matching & (step % self.discriminator_every == 0)

    def second_update(self, prepared: tuple, step: tf.Tensor) -> None:
        images = prepared[0]
        (discriminator_gradients,), _ = micro_batches.accumulate_gradients(
            self.maybe_xla(self._discriminator_gradients),
            prepared,
            self.step_seed(step),
            self.global_batch(images),
            size=self.micro_batch,
        )
        apply_gradients(
            self.discriminator_optimizer,
            discriminator_gradients,
            self.discriminator.trainable_variables,
        )

    def _discriminator_gradients(self, prepared, seed, global_batch):
        *batch, kept = prepared
        if self.discriminator_input == "after_update":
            kept = {}
        with transforms.random_offsets(seed):
            first, second = self.discriminator_inputs(*batch, **kept)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            loss, _ = self.discriminate(first, second)
            own = terms.own_losses(self.discriminator, global_batch.dtype)
            total, _ = self.total({"discriminator": loss}, variables, global_batch, own)
            scaled = self.discriminator_optimizer.scale_loss(total)
        gradients = tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return (gradients,), ()

    def discriminate(
        self, first: tf.Tensor, second: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Cross entropy and accuracy of the discriminator, averaged over each pair.

        Both halves go through it as one batch, whose statistics they share.

        Returns:
            Tuple of two tensors (batch,).
        """
        count = tf.shape(first)[0]
        classes = tf.repeat([STUDENT_CLASS, TEACHER_CLASS], [count, count])
        logits = self.discriminator(tf.concat([first, second], axis=0), training=True)
        logits = tf.cast(logits, first.dtype)
        correct = tf.argmax(logits, axis=1, output_type=tf.int32) == classes
        return (
            _mean_of_halves(losses.cross_entropy(logits, classes)),
            _mean_of_halves(tf.cast(correct, logits.dtype)),
        )


def _mean_of_halves(values):
    first, second = tf.split(values, 2)
    return (first + second) / 2
