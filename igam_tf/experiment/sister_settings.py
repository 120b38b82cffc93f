"""Settings of the methods beside IGAM."""

import dataclasses

from igam_tf.experiment.setting import setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class SisterSettings:
    """Settings of the rows beside IGAM's table; see `Experiment`."""

    # Gradient norm.
    cross_entropy_weight: float = setting(
        0.8, "lambda_CE of the row gradient_norm.", at_least=0
    )
    gradient_norm_weight: float = setting(
        1.2, "lambda_GN of the row gradient_norm.", at_least=0
    )
    gradient_norm_penalty: float = setting(
        0.0,
        "lambda_GN of the same penalty in the rows igam, kdiga, jarn, edges and pag.",
        at_least=0,
    )
    gradient_norm_eps: float = setting(
        4 / 255, "Radius in the L1 penalty.", at_least=0, at_most=1
    )
    gradient_norm: str = setting(
        "l1",
        "Penalised norm of the input gradient: l1 (GradNorm) or squared_l2 (double "
        "backpropagation).",
        choices=("l1", "squared_l2"),
    )
    gradient_norm_ramp: float = setting(
        0.0,
        "Fraction of the steps over which the gradient norm penalty grows.",
        at_least=0,
        at_most=1,
    )
    gradient_norm_batch_norm: str = setting(
        "inference",
        "Batch norm while training the row gradient_norm.",
        choices=("inference", "batch"),
    )
    gradient_norm_start: str = setting(
        "standard",
        "Where the row gradient_norm starts: the trained row standard, or scratch.",
        choices=("standard", "scratch"),
    )
    clip_norm: float = setting(
        1.0,
        "Global norm to which the rows gradient_norm and edges clip; 0 for none.",
        at_least=0,
    )
    ema_momentum: float = setting(
        0.0,
        "Momentum of averaged weights, which the row gradient_norm ends with; 0: none.",
        at_least=0,
        below=1,
    )

    # Edges.
    edge_weight_start: float = setting(
        1.0, "Weight of the edge term at the first step.", at_least=0
    )
    edge_weight: float = setting(10.0, "Weight of the edge term at the last step.", at_least=0
    )

    # JARN and KDIGA.
    jarn_weight: float = setting(1.0, "lambda and gamma of the row jarn.", at_least=0)
    jarn_discriminator_every: int = setting(
        20, "Student steps for each discriminator step of the row jarn.", at_least=1
    )
    kdiga_weight: float = setting(10.0, "gamma of the row kdiga.", at_least=0)
    kdiga_alpha: float = setting(
        0.5, "kdiga's share of the distillation.", at_least=0, at_most=1
    )
    kdiga_temperature: float = setting(1.0, "kdiga's temperature.", above=0)

    # Perceptually aligned gradients.
    pag_targets: str = setting(
        "nn",
        "Target gradients of the row pag: one image (oi), class mean (cm), nearest "
        "neighbour (nn) or score (sbg) of each class.",
        choices=("oi", "cm", "nn", "sbg"),
    )
    pag_weight: float = setting(
        15.0,
        "Weight of the row pag's mean cosine over classes: number of classes times the "
        "paper's lambda.",
        at_least=0,
    )
    pag_classes: int = setting(
        0, "Classes drawn for each image and step; 0 for all.", at_least=0
    )
    pag_per_class: int = setting(200, "Images a class that nn looks at.", at_least=1)
    score_model: str = setting(
        "", "Score network for sbg, a .keras file; trained here if left out."
    )
    score_epochs: int = setting(20, "Epochs of training the score network.", at_least=1)
    score_sigma: float = setting(
        0.25, "Noise level of sbg, in units of [0, 1] pixels.", above=0
    )
    score_draws: int = setting(1, "Draws of noise that sbg averages.", at_least=1)
