"""Data, rows and evaluation of a run, and how it is executed."""

import dataclasses

from igam_tf.settings import Settings, setting
from igam_tf.training.methods import METHODS


@dataclasses.dataclass(frozen=True, kw_only=True)
class TableSettings(Settings):
    """Which rows the table has."""

    methods: tuple = setting(
        ("standard", "finetune", "igam", "pgd"),
        f"Rows of the table, separated by commas: {', '.join(METHODS)}.",
        resumable=True,
    )
    controls: tuple = setting(
        (),
        "Control rows of igam and kdiga, which tell what their teacher adds, separated "
        "by commas: natural_teacher (the same one, trained on natural images), "
        "random_teacher (with random weights), zero (gradients of zero in place of "
        "the teacher's), shuffled (the teacher's at another image of the same class, "
        "and of another class).",
        resumable=True,
        may_be_empty=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSettings(Settings):
    """The two tasks, and where their images are."""

    source: str = setting("", "Data set the teacher is robust on.")
    target: str = setting("", "Data set of the student's task.")
    data_dir: str = setting(
        "",
        "Folder of TFDS-prepared data or of tiny-imagenet-200.zip; TFDS' own folder "
        "if left out.",
        resumable=True,
    )
    download: bool = setting(
        True, "Whether TFDS may download data that is not in data_dir.", resumable=True
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings(Settings):
    """How finished rows are evaluated; a run may be evaluated anew with others."""

    attacks: tuple = setting(
        ("clean", "fgsm", "pgd5", "pgd10", "pgd20"),
        "Columns of the table: clean, fgsm, pgdK, cwK (pgdKxR: R restarts), apgd-ce, "
        "apgd-dlr, apgd-t, fab-t, square, squareN (N queries), spsa, autoattack, "
        "autoattack-rand.",
        resumable=True,
        affects_results=True,
    )
    num_examples: int = setting(
        0,
        "Test images; 0 for all.",
        flag="eval_examples",
        resumable=True,
        affects_results=True,
        at_least=0,
    )
    batch_size: int = setting(
        100,
        "Batch of the evaluation.",
        flag="eval_batch_size",
        resumable=True,
        affects_results=True,
        at_least=1,
    )
    panel_examples: int = setting(
        100,
        "Images that the gradient-masking panel looks at; 0 for none.",
        resumable=True,
        affects_results=True,
        at_least=0,
    )
    batch_norm: str = setting(
        "inference",
        "Batch norm in the evaluation; batch reproduces the authors'.",
        resumable=True,
        affects_results=True,
        choices=("inference", "batch"),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(Settings):
    """Where a run runs, on which devices, in which precision."""

    run_dir: str = setting(
        "",
        "Run folder; runs/SOURCE_to_TARGET-HASH, or runs/TABLE-SIZE of a table, if "
        "left out.",
        resumable=True,
    )
    tensorboard: bool = setting(
        False,
        "Whether to write losses, cosine, validation and pictures of input gradients "
        "for TensorBoard, into STAGE/tensorboard of the run folder (pip install "
        "'igam_tf[tensorboard]').",
        resumable=True,
    )
    seed: int = setting(0, "Seed of everything random.", at_least=0, at_most=2**31 - 1)
    strategy: str = setting(
        "auto",
        "mirrored over local devices, multiworker (machines in TF_CONFIG), one device, "
        "or auto.",
        resumable=True,
        choices=("auto", "one", "mirrored", "multiworker"),
    )
    devices: int = setting(
        0, "Local replicas; 0 for all GPUs, or one CPU.", resumable=True, at_least=0
    )
    precision: str = setting(
        "float32",
        "What networks compute in; weights are float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    micro_batch: int = setting(
        0,
        "Images of a replica in memory at once, gradients added up over the batch; 0 "
        "for the whole batch.",
        at_least=0,
    )
    jit_compile: str = setting(
        "auto",
        "XLA: auto is on a GPU only.",
        resumable=True,
        choices=("auto", "true", "false"),
    )
    steps_per_execution: int = setting(
        1,
        "Training steps per call of the compiled function, at most; a divisor of the "
        "steps of an epoch is taken.",
        resumable=True,
        at_least=1,
    )
