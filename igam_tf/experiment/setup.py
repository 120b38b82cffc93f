"""What a method's row is built from, and the arguments that all methods share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from igam_tf import attacks, data, training
from igam_tf.attacks.attack import GraphAttack
from igam_tf.experiment import networks
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.settings import AugmentingSettings
from igam_tf.training.matching import AdversarialMatching


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """One row about to be trained.

    Attributes:
        experiment: all settings; a method reads its own and those groups it `uses`.
        task: the target task, with its images.
        student: keras.Model with the weights that training starts from.
        teacher: the teacher with logits of the target task, if the method needs it.
        targets: what `MethodSettings.prepare` returned first.
        matched_to: "teacher", or what a control has in its place (`training.matched`).
        total_steps: number of training steps.
    """

    experiment: Experiment
    task: data.Task
    student: keras.Model
    teacher: keras.Model | None = None
    targets: Callable | None = None
    matched_to: str = "teacher"
    total_steps: int

    @property
    def augmentation(self) -> data.Augmentation:
        """The target task's, with the noise of the settings."""
        return augmentation(self.experiment)

    def arguments(self, *, shapes_gradients: bool = False) -> dict[str, Any]:
        """Arguments of every method, and of those that shape input gradients.

        Args:
            shapes_gradients: whether the images to train on may be adversarial, and
                whether the penalty of the settings is added.
        """
        experiment = self.experiment
        # AdamW has a decay of its own.
        decoupled = experiment.training.optimizer == "adamw"
        found: dict[str, Any] = {
            "weight_decay": 0.0 if decoupled else experiment.training.weight_decay,
            "micro_batch": experiment.run.micro_batch or None,
            "seed": experiment.run.seed,
            **augmenting(experiment.augmenting),
        }
        if shapes_gradients and experiment.matching.attack_steps:
            found["attack"] = self.attack(experiment.matching.attack_steps)
        if shapes_gradients and experiment.penalty.weight:
            found["penalty"] = self.penalty(experiment.penalty.weight)
        return found

    def matching_arguments(self) -> dict[str, Any]:
        """Arguments of methods with a discriminator."""
        matching = self.experiment.matching
        return {
            "matching_start": round(matching.start * self.total_steps),
            "discriminator_input": matching.discriminator_input,
        }

    def attack(
        self,
        num_steps: int,
        *,
        step_size: float | None = None,
        random_start: bool = True,
    ) -> GraphAttack:
        """PGD in the ball of the evaluation, and with its step for None."""
        return attacks.pgd(
            eps=self.experiment.attack.eps,
            step_size=step_size or self.experiment.attack.step_size,
            num_steps=num_steps,
            norm=self.experiment.attack.norm,
            random_start=random_start,
        )

    def penalty(self, weight: float) -> training.GradientNormPenalty:
        """The penalty of the settings on the input gradient's norm, with a weight."""
        penalty = self.experiment.penalty
        return training.GradientNormPenalty(
            weight=weight,
            eps=penalty.eps,
            norm=penalty.norm,
            ramp_steps=round(penalty.ramp * self.total_steps),
            batch_norm=penalty.batch_norm,
            difference_step=penalty.difference_step,
        )

    def discriminator(
        self, teacher_shape: tuple[int, int, int] | None = None
    ) -> keras.Model:
        """The discriminator of input gradients of the target task.

        Args:
            teacher_shape: (height, width, channels) of the teacher's input; a transform
                that crops to it hides the rest from the discriminator. None: no
                teacher.
        """
        return networks.discriminator(self.experiment, teacher_shape)

    def compiled(
        self,
        method: training.TrainingMethod,
        *,
        clip_norm: float = 0,
        ema_momentum: float = 0,
        **kwargs: Any,
    ) -> training.TrainingMethod:
        """The method, compiled with the optimizer of the settings.

        Args:
            method: a `TrainingMethod`.
            clip_norm: global norm to which gradients are clipped; 0 for none.
            ema_momentum: momentum of averaged weights, which `fit` ends with; 0: none.
            **kwargs: of `compile`.
        """
        optimizer = networks.student_optimizer(
            self.experiment.training,
            self.total_steps,
            method.trained_variables,
            clip_norm=clip_norm,
            ema_momentum=ema_momentum,
        )
        method.compile(optimizer, jit_compile=jit_compile(self.experiment), **kwargs)
        return method

    def compiled_with_discriminator(
        self, method: AdversarialMatching
    ) -> training.TrainingMethod:
        """`compiled`, with the discriminator's own rate or the student's optimizer."""
        rate, second = self.experiment.matching.discriminator_learning_rate, None
        settings = self.experiment.training
        if rate:
            # AdamW has the decay that is a term of the loss beside other optimizers.
            own = dataclasses.replace(
                settings,
                optimizer="adamw" if settings.optimizer == "adamw" else "adam",
                learning_rate=rate,
                schedule="constant",
                clip_norm=0.0,
                ema=0.0,
            )
            second = networks.student_optimizer(
                own, self.total_steps, method.discriminator.trainable_variables
            )
        return self.compiled(method, discriminator_optimizer=second)


def augmenting(settings: AugmentingSettings) -> dict[str, Any]:
    """Arguments of a method for what its batches go through in the step."""
    found: dict[str, Any] = {}
    if settings.distorts:
        found["distortions"] = training.Distortions(
            rand_augment=settings.rand_augment,
            color_jitter=settings.color_jitter,
            random_erasing=settings.random_erasing,
        )
    if settings.mixes or settings.label_smoothing:
        found["soft_labels"] = training.SoftLabels(
            smoothing=settings.label_smoothing,
            mixup=settings.mixup,
            cutmix=settings.cutmix,
        )
    return found


def augmentation(experiment: Experiment) -> data.Augmentation:
    """Augmentation of the target task, with the noise of the settings."""
    found = experiment.data.info("target").augmentation
    return dataclasses.replace(found, noise=experiment.data.image_noise)


def jit_compile(experiment: Experiment) -> bool | str:
    """The flag's value as `compile` takes it."""
    return {"true": True, "false": False}.get(experiment.run.jit_compile, "auto")
