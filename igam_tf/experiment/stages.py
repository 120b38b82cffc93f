"""The stages of a run, and what each needs, writes and depends on.

A stage whose output is in the run folder is not run again; an interrupted training goes
on after the last epoch that it saved. What is done is in `teacher.py`, `rows.py` and
`results.py`.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, ClassVar

from igam_tf.experiment import controls, results, rows, teacher
from igam_tf.experiment.experiment import FIELDS, GROUPS, RESUMABLE, Experiment
from igam_tf.training import method_settings
from igam_tf.training.methods import METHODS

if TYPE_CHECKING:
    import keras

    from igam_tf.experiment.runner import Run

_OF_METHODS: frozenset[str] = frozenset().union(
    *(m.flag_names() for m in METHODS.values())
)
_SOURCE = frozenset({"source", "source_train_examples", "source_image_size"})
_TARGET = frozenset({"target", "train_examples", "image_noise", "held_out_fraction"})
# Groups that say how students are made and trained.
_OF_STUDENTS = ("student", "training", "augmenting", "matching", "penalty", "attack")


def _flags_of(*groups: str) -> frozenset[str]:
    return frozenset().union(*(GROUPS[name].flag_names() for name in groups))


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        experiment: the settings of the run.
        name: unique in the run; the folder of its log and checkpoints.
        output: file in the run folder that says that the stage is finished; "" if it
            is run in every session.
        inputs: names of the stages whose models it takes.
        chief_only: whether one worker alone runs it.
        is_intermediate: whether it is of use to later stages only, and not run if
            those are finished.
    """

    experiment: Experiment = dataclasses.field(repr=False)

    chief_only: ClassVar[bool] = False

    @property
    def name(self) -> str:
        raise TypeError(f"{type(self).__name__} does not define its name.")

    @property
    def is_intermediate(self) -> bool:
        return False

    @property
    def output(self) -> str:
        return ""

    @property
    def inputs(self) -> tuple[str, ...]:
        return ()

    @property
    def independent_of(self) -> frozenset[str]:
        """Flags that the output does not depend on, except through its inputs.

        Every stage depends on a new setting until it is listed here.
        """
        return RESUMABLE

    @property
    def own_flags(self) -> frozenset[str]:
        """Flags that the output depends on other than through its inputs."""
        return frozenset(FIELDS) - self.independent_of

    def is_finished(self, run: Run) -> bool:
        """Whether the output is there, and is what this stage wrote."""
        return bool(self.output) and run.folder.is_finished(self.output)

    def run(self, run: Run) -> keras.Model | None:
        """Does the work, writes the output, and returns the model that it made."""
        raise TypeError(f"{type(self).__name__} does not define its run.")


@dataclasses.dataclass(frozen=True)
class Teacher(Stage):
    """The robust teacher of the source task, or the teacher of a control."""

    control: str = ""

    @property
    def name(self) -> str:
        return controls.stage("teacher", self.control)

    @property
    def is_intermediate(self) -> bool:
        return True

    @property
    def output(self) -> str:
        return f"{self.name}.keras"

    @property
    def independent_of(self) -> frozenset[str]:
        students = _flags_of("finetuning", *_OF_STUDENTS)
        return RESUMABLE | _OF_METHODS | _TARGET | students

    def run(self, run: Run) -> keras.Model:
        return teacher.make(run, self.name, self.control)


@dataclasses.dataclass(frozen=True)
class TeacherAccuracy(Stage):
    """The accuracy of a `--teacher_checkpoint` on its own task."""

    @property
    def name(self) -> str:
        return "teacher accuracy"

    def run(self, run: Run) -> None:
        teacher.measure(run)


@dataclasses.dataclass(frozen=True)
class Finetuning(Stage):
    """The teacher with new logits, trained on natural images of the target task."""

    control: str = ""
    is_row: bool = False

    @property
    def name(self) -> str:
        if self.is_row:
            return next(name for name, m in METHODS.items() if m.is_teacher)
        return controls.stage("finetuned", self.control)

    @property
    def is_intermediate(self) -> bool:
        return not self.is_row

    @property
    def output(self) -> str:
        return f"{self.name}/student.keras" if self.is_row else f"{self.name}.keras"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (controls.stage("teacher", self.control),)

    @property
    def epochs(self) -> int:
        settings = self.experiment.finetuning
        return settings.baseline_epochs if self.is_row else settings.epochs

    @property
    def independent_of(self) -> frozenset[str]:
        epochs = {"finetune_epochs" if self.is_row else "baseline_finetune_epochs"}
        others = _flags_of(*_OF_STUDENTS) - {"batch_size"}
        return RESUMABLE | _OF_METHODS | others | epochs

    def run(self, run: Run) -> keras.Model:
        return teacher.finetuned(run, self)


@dataclasses.dataclass(frozen=True)
class NaturalStart(Stage):
    """The student after `--natural_finetune_epochs` of natural training.

    Methods differ in the normalization inside of their students.
    """

    normalization: str = ""

    @property
    def name(self) -> str:
        return f"natural_start-{self.normalization}"

    @property
    def is_intermediate(self) -> bool:
        return True

    @property
    def output(self) -> str:
        return f"{self.name}.keras"

    @property
    def independent_of(self) -> frozenset[str]:
        others = _flags_of("teacher", "finetuning", "matching", "penalty", "attack")
        return RESUMABLE | _OF_METHODS | _SOURCE | others | {"epochs", "weights_ema"}

    def run(self, run: Run) -> keras.Model:
        return rows.natural_start(run, self)


@dataclasses.dataclass(frozen=True)
class Row(Stage):
    """A student trained by a method, for one row of the table."""

    row: str = ""

    @property
    def name(self) -> str:
        return self.row

    @property
    def output(self) -> str:
        return f"{self.row}/student.keras"

    @functools.cached_property
    def settings(self) -> method_settings.MethodSettings:
        """Settings of the row's method."""
        return self.experiment.settings_of(controls.split(self.row)[0])

    @property
    def teacher(self) -> str:
        """Name of the stage of the teacher that the row learns from, or ""."""
        if not self.settings.needs_teacher:
            return ""
        control = controls.split(self.row)[1]
        return controls.stage(
            "finetuned", control if control in controls.OTHER_TEACHERS else ""
        )

    @functools.cached_property
    def start(self) -> Stage | None:
        """The stage whose student this one starts from, or None."""
        if name := self.settings.starts_from():
            return Row(self.experiment, name)
        if self.experiment.student.natural_epochs:
            return NaturalStart(self.experiment, self.settings.student_normalization)
        return None

    @property
    def inputs(self) -> tuple[str, ...]:
        start = self.start.name if self.start else ""
        return tuple(name for name in (self.teacher, start) if name)

    @property
    def independent_of(self) -> frozenset[str]:
        unused = method_settings.GROUPS - self.settings.uses
        found = RESUMABLE | _flags_of(*unused) | {"baseline_finetune_epochs"}
        found |= _OF_METHODS - self.settings.flag_names()
        return found if self.settings.needs_teacher else found | _SOURCE

    def run(self, run: Run) -> keras.Model:
        return rows.train(run, self)


@dataclasses.dataclass(frozen=True)
class Evaluation(Stage):
    """A row's student under the attacks of the settings."""

    row: str = ""
    chief_only: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"evaluation of {self.row}"

    @property
    def output(self) -> str:
        return f"{self.row}/evaluation.json"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (self.row,)

    def is_finished(self, run: Run) -> bool:
        return results.is_evaluated(run, self.row)

    def run(self, run: Run) -> None:
        results.evaluate(run, self.row)


@dataclasses.dataclass(frozen=True)
class Results(Stage):
    """`results.json`, the table, the figures, and a card of each student."""

    rows: tuple[str, ...] = ()
    chief_only: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "results"

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(f"evaluation of {row}" for row in self.rows)

    def run(self, run: Run) -> None:
        found = results.collect(run, self.rows)
        results.report(found, run.folder, run.target, run.local_strategy)
