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
        "momentum", "Optimizer of the student.", choices=OPTIMIZERS
    )
    learning_rate: float = setting(
        0.1,
        "Of the student at the start; a tenth of it from half, and again from 3/4.",
        above=0,
    )
    weight_decay: float = setting(2e-4, "On convolution and dense kernels.", at_least=0)


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
        "Learning rate of a constant Adam; 0: the student's optimizer and schedule.",
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
    norm: str = setting("linf", "Norm of the attacks.", choices=("linf", "l2"))
