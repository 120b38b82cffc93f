"""How rows are trained: optimizer, matching of input gradients, penalty, attack."""

import dataclasses

from igam_tf.experiment.settings.networks import OPTIMIZERS
from igam_tf.settings import Settings, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """How every row but FT is trained."""

    epochs: int = setting(200, "Epochs of every row but FT.", at_least=1)
    batch_size: int = setting(32, "Batch over all devices.", at_least=1)
    optimizer: str = setting(
        "momentum", "Optimizer of the student.", choices=(*OPTIMIZERS, "adamw")
    )
    learning_rate: float = setting(
        0.1,
        "Of the student, at the start or after the warm-up; see "
        "--learning_rate_schedule.",
        above=0,
    )
    schedule: str = setting(
        "steps",
        "How it falls: steps is a tenth of it from half, and again from 3/4; cosine is "
        "half a cosine to --learning_rate_end; constant.",
        flag="learning_rate_schedule",
        choices=("steps", "cosine", "constant"),
    )
    warmup: float = setting(
        0.0,
        "Fraction of the steps over which the cosine's rate first rises, linearly.",
        flag="learning_rate_warmup",
        at_least=0,
        below=1,
    )
    learning_rate_end: float = setting(
        0.0, "Rate at the end of the cosine.", at_least=0
    )
    weight_decay: float = setting(
        2e-4,
        "On convolution and dense kernels, of the discriminator too: a term of the "
        "loss, or with adamw a part of the step.",
        at_least=0,
    )
    clip_norm: float = setting(
        0.0,
        "Global norm to which every row but FT clips; 0: only those of --clip_norm.",
        flag="gradient_clip_norm",
        at_least=0,
    )
    ema: float = setting(
        0.0,
        "Momentum of averaged weights, which every row but FT ends with, and is "
        "evaluated with; 0: none.",
        flag="weights_ema",
        at_least=0,
        below=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AugmentingSettings(Settings):
    """What every row but FT does to its batches, beside crop and flip, in the step."""

    label_smoothing: float = setting(
        0.0,
        "Part of each label that all classes share; not with rslad and igdm, which "
        "learn no labels.",
        at_least=0,
        below=1,
    )
    mixup: float = setting(
        0.0, "alpha of mixup's Beta distribution, such as 0.8; 0: none.", at_least=0
    )
    cutmix: float = setting(
        0.0,
        "alpha of cutmix's, such as 1; 0: none. With both each batch draws one.",
        at_least=0,
    )
    rand_augment: float = setting(
        0.0,
        "Magnitude of RandAugment's two operations an image, up to 10; 0: none.",
        at_least=0,
        at_most=10,
    )
    color_jitter: float = setting(
        0.0,
        "Brightness, contrast and saturation times a number that differs from 1 by "
        "this much at most; 0: none.",
        at_least=0,
        at_most=1,
    )
    random_erasing: float = setting(
        0.0,
        "Probability that a box of an image becomes noise; 0: none.",
        at_least=0,
        at_most=1,
    )

    @property
    def distorts(self) -> bool:
        """Whether images are distorted."""
        return bool(self.rand_augment or self.color_jitter or self.random_erasing)

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with one another."""
        return bool(self.mixup or self.cutmix)

    def changes_images(self) -> str:
        """The flags that distort or mix images, as they are given; "" for none."""
        given = self.flags()
        del given["label_smoothing"]
        return ", ".join(
            f"--{name}={value:g}" for name, value in given.items() if value
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatchingSettings(Settings):
    """What methods that shape input gradients share: start, images, discriminator."""

    start: float = setting(
        0.875,
        "Fraction of the steps before matching begins.",
        flag="matching_start",
        at_least=0,
        at_most=1,
    )
    attack_steps: int = setting(
        0,
        "PGD steps of the images that igam, kdiga, jarn, gradient_norm, edges and pag "
        "train on; 0: natural images.",
        flag="matching_attack_steps",
        at_least=0,
    )
    discriminator: str = setting(
        "conv",
        "Convolutional (Appendix A) or dense (the authors' variant).",
        choices=("conv", "dense"),
    )
    discriminator_channels: tuple = setting(
        (16, 32, 64, 128, 256),
        "Channels of the discriminator's convolutions, or units of its dense layers, "
        "with commas.",
    )
    discriminator_input: str = setting(
        "after_update",
        "Student's gradients that it learns from: after the student's update (the "
        "authors' code), or before it (the paper, and faster).",
        choices=("after_update", "before_update"),
    )
    discriminator_learning_rate: float = setting(
        0.0,
        "Learning rate of a constant Adam, or AdamW where the student's is, with the "
        "same --weight_decay; 0: the student's optimizer and schedule.",
        at_least=0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class PenaltySettings(Settings):
    """The penalty on the input gradient's norm, alone or beside another method."""

    weight: float = setting(
        0.0,
        "lambda_GN of the same penalty in the rows igam, kdiga, jarn, edges and pag.",
        flag="gradient_norm_penalty",
        at_least=0,
    )
    eps: float = setting(
        4 / 255,
        "Radius in the L1 penalty.",
        flag="gradient_norm_eps",
        at_least=0,
        at_most=1,
    )
    norm: str = setting(
        "l1",
        "Penalised norm of the input gradient: l1 (GradNorm) or squared_l2 (double "
        "backpropagation).",
        flag="gradient_norm",
        choices=("l1", "squared_l2"),
    )
    ramp: float = setting(
        0.0,
        "Fraction of the steps over which the gradient norm penalty grows.",
        flag="gradient_norm_ramp",
        at_least=0,
        at_most=1,
    )
    batch_norm: str = setting(
        "inference",
        "Batch norm while training the row gradient_norm.",
        flag="gradient_norm_batch_norm",
        choices=("inference", "batch"),
    )
    difference_step: float = setting(
        0.0,
        "L2 length, in [0, 1] pixels, of the step of a finite difference that takes "
        "the place of double backpropagation in the gradient norm penalty, such as "
        "0.01; 0: double backpropagation.",
        flag="gradient_norm_difference_step",
        at_least=0,
    )
    clip_norm: float = setting(
        1.0,
        "Global norm to which the rows gradient_norm and edges clip; 0 for none.",
        at_least=0,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttackSettings(Settings):
    """The ball of the attacks, in training and evaluation."""

    eps: float = setting(
        8 / 255, "Radius of the attacks and of the row pgd, in the norm.", at_least=0
    )
    step_size: float = setting(2 / 255, "Step of PGD.", above=0)
    norm: str = setting(
        "linf",
        "Norm of the attacks; l1 with --panel_examples=0.",
        choices=("linf", "l2", "l1"),
    )
