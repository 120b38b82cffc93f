"""What another run has finished with the same settings is linked, not trained again.

Each stage lists the settings that it does NOT depend on: a setting that is new decides
every stage until it is listed here.
"""

import dataclasses
import os

from igam_tf import files
from igam_tf.experiment import controls
from igam_tf.experiment.config import METHODS, Experiment
from igam_tf.experiment.folder import Folder
from igam_tf.experiment.sister_settings import SisterSettings

_SISTERS = {field.name for field in dataclasses.fields(SisterSettings)}
_TEACHER = {
    *("source", "source_train_examples", "teacher_checkpoint", "teacher_model"),
    *("teacher_depth", "teacher_width", "teacher_epochs", "teacher_batch_size"),
    *("teacher_optimizer", "teacher_learning_rate", "teacher_weight_decay"),
    *("teacher_eps", "teacher_step_size", "teacher_steps", "teacher_batch_norm"),
}
_TARGET = {"target", "train_examples", "image_noise", "batch_size"}
_FINETUNING = {"input_transform", "finetune_epochs", "baseline_finetune_epochs"}
_STUDENT = {
    *("student_model", "depth", "width", "activation", "epochs", "optimizer"),
    *("learning_rate", "weight_decay"),
}
_MATCHING = {
    *("adversarial_weight", "difference_weight", "pixel_range", "input_gradient_of"),
    *("difference_reduction", "moving_variance", "matching_start", "discriminator"),
    *("discriminator_channels", "discriminator_every", "discriminator_input"),
    *("discriminator_learning_rate", "matching_attack_steps"),
}
_ATTACK = {"adversarial_steps", "eps", "step_size", "norm"}
_MAY_CHANGE = {
    field.name for field in dataclasses.fields(Experiment) if field.metadata["may_change"]
}
_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Experiment)}

_NO_TEACHER = _MAY_CHANGE | _SISTERS | _MATCHING | _ATTACK | _STUDENT
_NO_STUDENT = _MAY_CHANGE | _SISTERS | _MATCHING | _TEACHER | _FINETUNING
#: Stage -> its model, and the settings that do not decide it.
SHARED = {
    **{
        stage: (
            f"{stage}.keras",
            _NO_TEACHER | _TARGET | _FINETUNING
            if stage.startswith("teacher")
            else _NO_TEACHER | {"baseline_finetune_epochs"},
        )
        for stage in controls.teacher_stages()
    },
    "finetune": ("finetune/student.keras", _NO_TEACHER | {"finetune_epochs"}),
    "standard": ("standard/student.keras", _NO_STUDENT | _ATTACK),
    "pgd": ("pgd/student.keras", _NO_STUDENT),
}


def deciding(stage):
    """Names of the settings that decide a shared stage."""
    return set(_DEFAULTS) - SHARED[stage][1]


def share_finished(experiment):
    """Links what other experiments have finished with the same settings.

    Args:
        experiment: `Experiment` whose run folder lies in that of a table; looked
            through are its neighbours there, and those of the tables beside.

    Raises:
        ValueError: if a file of a neighbour is damaged, or not the one it wrote.
    """
    own = Folder(experiment.run_dir)
    table = own.path.parent
    neighbors = [*table.glob("*/flags.json"), *table.parent.glob("*/*/flags.json")]
    for flags in sorted(neighbors):
        other = Folder(flags.parent, writes=False)
        if other.path.resolve() == own.path.resolve():
            continue
        for stage, model in _equal(experiment, own, other):
            if (own.path / model).exists() or not other.is_finished(model):
                continue
            # The history first: a stage with a model is finished.
            if (other.path / stage / "history.csv").exists():
                _link(other.path / stage / "history.csv", own.file(stage, "history.csv"))
            if digest := other.digest_of(model):
                own.record_digest(model, digest)
            _link(other.path / model, own.file(model))


def _equal(experiment, own, other):
    """Stages of another run with the settings of this one, and their models."""
    every_row = controls.all_rows(METHODS)
    mine = dataclasses.asdict(experiment)
    # What an earlier version did not know, it did as by default.
    theirs = {**_DEFAULTS, **other.read_flags()["settings"]}
    equal = {name for name in mine if _plain(mine[name]) == _plain(theirs[name])}
    shared = {stage: model for stage, (model, _) in SHARED.items() if deciding(stage) <= equal}
    if other.path.name == own.path.name:
        # The same settings altogether: every row.
        shared |= {row: f"{row}/student.keras" for row in every_row}
    # A row that nobody asked for would be evaluated.
    return [
        (stage, model)
        for stage, model in shared.items()
        if stage not in every_row or stage in experiment.rows
    ]


def _plain(value):
    """A setting as JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _link(source, target):
    try:
        os.link(source, target)
    except OSError:
        # Another file system, or one without links.
        files.copy(source, target)
