"""All settings of an experiment, checked before anything runs."""

import dataclasses
import json
import pathlib
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Self

from igam_tf.data import registry
from igam_tf.experiment import checks, controls
from igam_tf.experiment import settings as groups
from igam_tf.settings import Settings, flag_of
from igam_tf.training.method_settings import MethodSettings
from igam_tf.training.methods import METHODS

#: Attribute of `Experiment` -> the class of that group of settings.
GROUPS: dict[str, type[Settings]] = {
    "table": groups.TableSettings,
    "data": groups.DataSettings,
    "teacher": groups.TeacherSettings,
    "finetuning": groups.FinetuningSettings,
    "student": groups.StudentSettings,
    "training": groups.TrainingSettings,
    "augmenting": groups.AugmentingSettings,
    "matching": groups.MatchingSettings,
    "penalty": groups.PenaltySettings,
    "attack": groups.AttackSettings,
    "evaluation": groups.EvaluationSettings,
    "run": groups.RunSettings,
}
#: Every setting by the name of its flag: a `dataclasses.Field`.
FIELDS: dict[str, dataclasses.Field] = {
    flag_of(field): field
    for group in (*GROUPS.values(), *METHODS.values())
    for field in dataclasses.fields(group)
}

#: Flags that may have another value when a run goes on.
RESUMABLE = frozenset(n for n, field in FIELDS.items() if field.metadata["resumable"])


def as_recorded(settings: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Settings from the record of a run, as that run had them.

    Args:
        settings: settings by flag, as a run of this or an earlier version wrote them.
        names: flags that are asked for.

    Returns:
        The settings by flag. A flag that came after the record has its default, with
        which all runs went before there was such a flag.
    """
    later = groups.LATER & set(names) - settings.keys()
    defaults = {name: FIELDS[name].default for name in later}
    return {**json.loads(json.dumps(defaults)), **settings}


@dataclasses.dataclass(frozen=True, init=False)
class Experiment:
    """Settings of one run: groups of them, and those of each method.

        Experiment(source="mnist", target="cifar10", width=2).student.width == 2

    Args:
        **flags: settings by the names of their flags (`run.py --help`); what is left
            out has its default.

    Raises:
        TypeError: if there is no such flag.
        ValueError: naming the flag, the received value and what was expected.
    """

    table: groups.TableSettings
    data: groups.DataSettings
    teacher: groups.TeacherSettings
    finetuning: groups.FinetuningSettings
    student: groups.StudentSettings
    training: groups.TrainingSettings
    augmenting: groups.AugmentingSettings
    matching: groups.MatchingSettings
    penalty: groups.PenaltySettings
    attack: groups.AttackSettings
    evaluation: groups.EvaluationSettings
    run: groups.RunSettings
    #: `MethodSettings` of each method of `igam_tf.training.METHODS`, in its order.
    methods_settings: tuple[MethodSettings, ...]

    def __init__(self, **flags: Any) -> None:
        if unknown := sorted(flags.keys() - FIELDS.keys()):
            raise TypeError(f"{unknown[0]} is no setting; see run.py --help.")
        for name, group in GROUPS.items():
            object.__setattr__(self, name, group.from_flags(flags))
        of_methods = tuple(method.from_flags(flags) for method in METHODS.values())
        object.__setattr__(self, "methods_settings", of_methods)
        checks.check(self)

    def __getattr__(self, name: str) -> Any:
        """A setting by the name of its flag: deprecated, see the groups."""
        if name.startswith("_") or name not in FIELDS:
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        warnings.warn(
            f"experiment.{name} is deprecated: read it from its group, or from "
            f"experiment.flags()[{name!r}].",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.flags()[name]

    def flags(self) -> dict[str, Any]:
        """All settings by the names of their flags."""
        parts = (*(getattr(self, name) for name in GROUPS), *self.methods_settings)
        return {name: value for part in parts for name, value in part.flags().items()}

    def fixed_flags(self) -> dict[str, Any]:
        """Those settings that a run which goes on may not change."""
        return {n: v for n, v in self.flags().items() if n not in RESUMABLE}

    def replace(self, **flags: Any) -> Self:
        """The same experiment with other values of some flags."""
        return type(self)(**{**self.flags(), **flags})

    def settings_of(self, method: str) -> MethodSettings:
        """Settings of a method by its name."""
        return next(part for part in self.methods_settings if part.name == method)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods whose rows the table has."""
        return self.table.methods

    @property
    def rows(self) -> tuple[str, ...]:
        """Names of the rows: the methods, and the controls of those that have them."""
        rows = (controls.rows_of(name, self.table.controls) for name in self.methods)
        return tuple(row for of_method in rows for row in of_method)

    @property
    def source_name(self) -> str:
        """The source task in titles: a teacher's file where there is no source."""
        if self.data.source:
            return registry.short_name(self.data.source)
        return pathlib.PurePath(self.teacher.checkpoint).name

    def label(self, row: str) -> str:
        """Name of a row in tables and figures."""
        method, control = controls.split(row)
        return controls.label(self.settings_of(method).label(), control)

    def network(self, role: str) -> str:
        """Name of the network of a role, "teacher" or "student"."""
        name = getattr(self, role).model
        if name != "auto" or (role == "teacher" and not self.data.source):
            return name
        task = self.data.info("source" if role == "teacher" else "target")
        height, _, channels = task.image_shape
        if channels > 1:
            return "wide_resnet"
        return "mnist_cnn" if height >= 28 else "small_cnn"
