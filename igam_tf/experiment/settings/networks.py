"""The networks of a run: the teacher, its new logits, the student."""

import dataclasses

from igam_tf.settings import Settings, setting

NETWORKS = ("wide_resnet", "conv_net", "mnist_cnn", "small_cnn", "preact_resnet", "vit")
OPTIMIZERS = ("momentum", "adam")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherSettings(Settings):
    """The robust teacher: a file, or a network that is trained here."""

    checkpoint: str = setting(
        "",
        "Robust teacher: a MadryLab TensorFlow 1 checkpoint (folder, prefix, .index "
        "file or zip), or a .keras or .h5 file; trained here by PGD if left out.",
        flag="teacher_checkpoint",
    )
    input_range: str = setting(
        "",
        "What black and white are to the teacher of a file that takes other pixels "
        "than [0, 1], such as 0,255 or -1,1.",
        flag="teacher_input_range",
    )
    model: str = setting(
        "auto",
        "Network of a teacher trained here.",
        flag="teacher_model",
        choices=("auto", *NETWORKS),
    )
    depth: int = setting(
        32, "Depth of the teacher, as --depth.", flag="teacher_depth", at_least=1
    )
    width: int = setting(
        10,
        "Width k of the teacher: 16 k, 32 k, 64 k filters of a Wide-ResNet, 16 k and "
        "on of a preact_resnet and a conv_net, 48 k units of a vit, 32 k hidden units "
        "of a small_cnn.",
        flag="teacher_width",
        at_least=1,
    )
    epochs: int = setting(
        205, "Epochs of the teacher's training.", flag="teacher_epochs", at_least=1
    )
    batch_size: int = setting(
        128, "Batch of the teacher's training.", flag="teacher_batch_size", at_least=1
    )
    optimizer: str = setting(
        "momentum",
        "Optimizer of the teacher.",
        flag="teacher_optimizer",
        choices=OPTIMIZERS,
    )
    learning_rate: float = setting(
        0.1,
        "The teacher's; momentum drops it as the student's.",
        flag="teacher_learning_rate",
        above=0,
    )
    weight_decay: float = setting(
        2e-4, "The teacher's.", flag="teacher_weight_decay", at_least=0
    )
    eps: float = setting(
        8 / 255,
        "Radius of the teacher's PGD training (Linf).",
        flag="teacher_eps",
        at_least=0,
        at_most=1,
    )
    step_size: float = setting(
        2 / 255, "The teacher's PGD step.", flag="teacher_step_size", above=0
    )
    num_steps: int = setting(
        7, "The teacher's PGD steps.", flag="teacher_steps", at_least=1
    )
    batch_norm: str = setting(
        "inference",
        "Teacher's batch norm while matching; batch is the authors' code.",
        flag="teacher_batch_norm",
        choices=("inference", "batch"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuningSettings(Settings):
    """How the teacher gets logits of the target task."""

    input_transform: str = setting(
        "auto",
        "Target image to teacher input: names joined by '+', such as "
        "mean_channels+center_crop; auto chooses by the sizes.",
    )
    epochs: int = setting(
        6, "Epochs of the teacher's new logits.", flag="finetune_epochs", at_least=1
    )
    baseline_epochs: int = setting(
        100,
        "Epochs of the teacher's new logits in the row FT.",
        flag="baseline_finetune_epochs",
        at_least=1,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StudentSettings(Settings):
    """The network of the student."""

    model: str = setting(
        "auto",
        f"Network of the student: auto, {', '.join(NETWORKS)}; or your own: a .keras "
        "or .h5 file, whose weights it starts from, or module:function, called with "
        "num_classes= and image_shape=.",
        flag="student_model",
    )
    depth: int = setting(
        32,
        "Depth of the student: 6 n + 2 of a Wide-ResNet, 10, 18 or 34 of a "
        "preact_resnet, blocks of a vit.",
        at_least=1,
    )
    width: int = setting(10, "Width k of the student, as --teacher_width.", at_least=1)
    patch_size: int = setting(
        4,
        "Side of the patches of a vit: 4 of 32 pixels (PAG), 16 of 224.",
        at_least=1,
    )
    activation: str = setting(
        "",
        "Activation of the student, in place of the network's own, in a network of "
        "your own too.",
        choices=("", "relu", "leaky_relu", "gelu", "silu", "softplus"),
    )
    checkpoint: str = setting(
        "",
        "Weights that the student starts from: a .keras, .h5 or .weights.h5 file, or a "
        "TensorFlow 1 checkpoint, of the same network; its activation may be another, "
        "and logits of other classes are left as they are drawn.",
        flag="student_checkpoint",
    )
    natural_epochs: int = setting(
        0,
        "Epochs of natural training that every row but FT starts from, made once, such "
        "as after a change of --activation; 0: none.",
        flag="natural_finetune_epochs",
        at_least=0,
    )
