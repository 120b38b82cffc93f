"""All settings of an experiment: one frozen dataclass, checked before anything runs.

`run.py` makes a flag of every field. Nothing here imports TensorFlow.
"""

import dataclasses

from igam_tf.data import registry
from igam_tf.experiment import controls as control_rows
from igam_tf.experiment import settings_checks
from igam_tf.experiment.run_settings import RunSettings
from igam_tf.experiment.setting import (
    check_depth,
    check_limits,
    known_dataset,
    setting,
)
from igam_tf.experiment.sister_settings import SisterSettings

#: Rows of a table: method -> its name there.
LABELS = {
    "standard": "Standard",
    "finetune": "FT",
    "igam": "IGAM",
    "kdiga": "KDIGA",
    "jarn": "JARN",
    "gradient_norm": "GradNorm",
    "edges": "EdgeReg",
    "pag": "PAG",
    "pgd": "PGD",
}
METHODS = tuple(LABELS)
NETWORKS = ("wide_resnet", "conv_net", "mnist_cnn", "small_cnn", "preact_resnet", "vit")
WITH_TEACHER = ("finetune", "igam", "kdiga")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(SisterSettings, RunSettings):
    """Settings of one run; see the help text of each field (`run.py --help`).

    Raises:
        ValueError: naming the flag, the received value and what was expected.
    """

    # Tasks and data.
    source: str = setting("", "Data set the teacher is robust on.")
    target: str = setting("", "Data set of the student's task.")
    methods: tuple = setting(
        ("standard", "finetune", "igam", "pgd"),
        "Rows of the table, separated by commas: standard, finetune (FT), igam, kdiga, "
        "jarn, gradient_norm, edges, pag, pgd.",
        may_change=True,
    )
    controls: tuple = setting(
        (),
        "Control rows of igam and kdiga, which tell what their teacher adds, separated "
        "by commas: natural_teacher (the same one, trained on natural images), "
        "random_teacher (with random weights), zero (gradients of zero in place of "
        "the teacher's), shuffled (the teacher's at another image of the same class, "
        "and of another class).",
        may_change=True,
        may_be_empty=True,
    )
    data_dir: str = setting(
        "",
        "Folder of TFDS-prepared data or of tiny-imagenet-200.zip; TFDS' own folder "
        "if left out.",
        may_change=True,
    )
    download: bool = setting(
        True, "Whether TFDS may download data that is not in data_dir.", may_change=True
    )
    train_examples: int = setting(
        0, "Training images of the target task; 0 for all.", at_least=0
    )
    source_train_examples: int = setting(
        0, "Training images of the source task; 0 for all.", at_least=0
    )
    image_noise: float = setting(
        0.0,
        "Uniform noise of at most this much on training images, such as 8/255.",
        at_least=0,
        at_most=1,
    )

    # Teacher.
    teacher_checkpoint: str = setting(
        "",
        "Robust teacher: a MadryLab TensorFlow 1 checkpoint (folder, prefix, .index file "
        "or zip) or a .keras file; trained here by PGD if left out.",
    )
    teacher_model: str = setting(
        "auto",
        "Network of a teacher trained here.",
        choices=("auto", *NETWORKS),
    )
    teacher_depth: int = setting(32, "Depth of the teacher, as --depth.", at_least=1)
    teacher_width: int = setting(
        10,
        "Width k of the teacher: 16 k, 32 k, 64 k filters of a Wide-ResNet, 16 k and on "
        "of a preact_resnet and a conv_net, 48 k units of a vit, 32 k hidden units of a "
        "small_cnn.",
        at_least=1,
    )
    teacher_epochs: int = setting(205, "Epochs of the teacher's training.", at_least=1)
    teacher_batch_size: int = setting(128, "Batch of the teacher's training.", at_least=1)
    teacher_optimizer: str = setting(
        "momentum", "Optimizer of the teacher.", choices=("momentum", "adam")
    )
    teacher_learning_rate: float = setting(
        0.1, "The teacher's; momentum drops it as the student's.", above=0
    )
    teacher_weight_decay: float = setting(2e-4, "The teacher's.", at_least=0)
    teacher_eps: float = setting(
        8 / 255, "Radius of the teacher's PGD training (Linf).", at_least=0, at_most=1
    )
    teacher_step_size: float = setting(2 / 255, "The teacher's PGD step.", above=0)
    teacher_steps: int = setting(7, "The teacher's PGD steps.", at_least=1)

    # Finetuning.
    input_transform: str = setting(
        "auto",
        "Target image to teacher input: names joined by '+', such as "
        "mean_channels+center_crop; auto chooses by the sizes.",
    )
    finetune_epochs: int = setting(6, "Epochs of the teacher's new logits.", at_least=1)
    baseline_finetune_epochs: int = setting(
        100, "Epochs of the teacher's new logits in the row FT.", at_least=1
    )

    # Student.
    student_model: str = setting(
        "auto",
        "Network of the student.",
        choices=("auto", *NETWORKS),
    )
    depth: int = setting(
        32,
        "Depth of the student: 6 n + 2 of a Wide-ResNet, 10, 18 or 34 of a "
        "preact_resnet, blocks of a vit.",
        at_least=1,
    )
    width: int = setting(10, "Width k of the student, as --teacher_width.", at_least=1)
    activation: str = setting(
        "",
        "Activation of the student; the network's own if left out.",
        choices=("", "relu", "leaky_relu", "gelu", "silu", "softplus"),
    )
    epochs: int = setting(200, "Epochs of every row but FT.", at_least=1)
    batch_size: int = setting(32, "Batch over all devices.", at_least=1)
    optimizer: str = setting(
        "momentum", "Optimizer of the student.", choices=("momentum", "adam")
    )
    learning_rate: float = setting(
        0.1,
        "Of the student at the start; a tenth of it from half, and again from 3/4.",
        above=0,
    )
    weight_decay: float = setting(2e-4, "On convolution and dense kernels.", at_least=0)

    # Matching.
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
    teacher_batch_norm: str = setting(
        "inference",
        "Teacher's batch norm while matching; batch is the authors' code.",
        choices=("inference", "batch"),
    )
    moving_variance: str = setting(
        "biased",
        "What batch norm averages while matching: Keras' biased variance, or the "
        "unbiased one of TensorFlow 1 (the authors' code).",
        choices=("biased", "unbiased"),
    )
    matching_start: float = setting(
        0.875, "Fraction of the steps before matching begins.", at_least=0, at_most=1
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
    discriminator_every: int = setting(
        5, "Student steps for each step of the discriminator.", at_least=1
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

    # Adversarial training.
    adversarial_steps: int = setting(7, "PGD steps of the row pgd.", at_least=1)
    matching_attack_steps: int = setting(
        0,
        "PGD steps of the images that igam, kdiga, jarn, gradient_norm, edges and pag "
        "train on; 0: natural images.",
        at_least=0,
    )

    # Evaluation.
    eps: float = setting(
        8 / 255, "Radius of the attacks and of the row pgd, in the norm.", at_least=0
    )
    step_size: float = setting(2 / 255, "Step of PGD.", above=0)
    norm: str = setting("linf", "Norm of the attacks.", choices=("linf", "l2"))
    attacks: tuple = setting(
        ("clean", "fgsm", "pgd5", "pgd10", "pgd20"),
        "Columns of the table: clean, fgsm, pgdK, cwK (pgdKxR: R restarts), apgd-ce, "
        "apgd-dlr, apgd-t, fab-t, square, squareN (N queries), spsa, autoattack, "
        "autoattack-rand.",
        may_change=True,
        decides=True,
    )
    eval_examples: int = setting(
        0, "Test images; 0 for all.", may_change=True, decides=True, at_least=0
    )
    eval_batch_size: int = setting(
        100, "Batch of the evaluation.", may_change=True, decides=True, at_least=1
    )
    panel_examples: int = setting(
        100,
        "Images that the gradient-masking panel looks at; 0 for none.",
        may_change=True,
        decides=True,
        at_least=0,
    )
    batch_norm: str = setting(
        "inference",
        "Batch norm in the evaluation; batch reproduces the authors'.",
        may_change=True,
        decides=True,
        choices=("inference", "batch"),
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
            settings_checks.check_type(field, getattr(self, field.name))
            check_limits(field, getattr(self, field.name))
        for role in ("source", "target"):
            known_dataset(getattr(self, role), flag=f"--{role}")
        for method in self.methods:
            if method not in METHODS:
                raise ValueError(
                    f"--methods: {method!r} is unknown; expected names of {METHODS}."
                )
        control_rows.check(self.controls)
        settings_checks.check(self)
        for role, depth in (("student", self.depth), ("teacher", self.teacher_depth)):
            check_depth(self.network(role), depth, "" if role == "student" else "teacher_")

    @property
    def rows(self):
        """Names of the rows: the methods, and the controls of those that have them."""
        rows = (control_rows.rows_of(name, self.controls) for name in self.methods)
        return tuple(row for of_method in rows for row in of_method)

    def label(self, row):
        """Name of a row in tables and figures."""
        method, control = control_rows.split(row)
        text = LABELS[method] + (str(self.adversarial_steps) if method == "pgd" else "")
        return control_rows.label(text, control)

    def network(self, role):
        """Name of the network of a role, "teacher" or "student"."""
        name = getattr(self, f"{role}_model")
        if name != "auto":
            return name
        task = registry.find(self.source if role == "teacher" else self.target)
        height, _, channels = task.image_shape
        if channels > 1:
            return "wide_resnet"
        return "mnist_cnn" if height >= 28 else "small_cnn"
