"""Flags of `run`: one for every setting, and how their values are read."""

import pathlib
from typing import Any

from absl import flags

from igam_tf.attacks.fractions import parse_fraction
from igam_tf.experiment.experiment import FIELDS
from igam_tf.reports.names import public_corruptions

SIZES = ("paper", "medium", "small", "tiny")
#: Flags that say how settings are put together; they are no settings themselves.
COMPOSITION = {
    "size": "The paper's networks and steps; whole data sets, an estimated night a "
    "table on 2 cores; minutes a row; or a smoke test: paper, medium, small or tiny.",
    "table": "Title of a table.",
    "columns": "Columns of --paper.",
    "row": "Row of a table, whose other flags are those of all its rows: 'label: "
    "recipe --flag=value ...'. A value such as 0.25x is that part of the recipe's; "
    "{epochs} in a label stands for the value; --student_checkpoint=row:NAME starts "
    "from the student of an earlier row.",
    "paper": "One for each --row, in the same order: the paper's numbers, in the order "
    "of --columns, with - for one that was not found.",
    "dry_run": "Print the stages of the run, their sizes, and an estimate of time and "
    "memory from one measured step of each; train nothing.",
}

# Of these only the last part is shown: changes stand in cards that travel.
_FILES = frozenset(
    {"teacher_checkpoint", "student_model", "student_checkpoint", "score_model"}
)


class _FractionParser(flags.FloatParser):
    """Accepts 8/255 and 0.5/255 as well as 0.0314."""

    def parse(self, argument):
        try:
            return parse_fraction(argument)
        except ValueError:
            # Infinity is left to the checks of the settings, which name the flag.
            if str(argument).strip().lower().lstrip("+-") in ("inf", "infinity", "nan"):
                return float(argument)
            raise


class _IntegersParser(flags.ArgumentParser):
    """Accepts 16,32,64."""

    def parse(self, argument):
        if not isinstance(argument, str):
            return tuple(argument)
        return tuple(int(part) for part in argument.split(","))


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines a flag for every setting of `Experiment`, and those of `COMPOSITION`."""
    common: dict[str, Any] = {"flag_values": flag_values}
    flags.DEFINE_enum("size", "paper", SIZES, COMPOSITION["size"], **common)
    flags.DEFINE_string("table", "", COMPOSITION["table"], **common)
    flags.DEFINE_list("columns", [], COMPOSITION["columns"], **common)
    flags.DEFINE_multi_string("row", [], COMPOSITION["row"], **common)
    flags.DEFINE_multi_string("paper", [], COMPOSITION["paper"], **common)
    flags.DEFINE_bool("dry_run", False, COMPOSITION["dry_run"], **common)
    for name, field in FIELDS.items():
        _define_setting(name, field, flag_values)


def _define_setting(name, field, flag_values):
    text, default = field.metadata["help"], field.default
    common: dict[str, Any] = {"flag_values": flag_values}
    if isinstance(default, bool):
        flags.DEFINE_bool(name, default, text, **common)
    elif isinstance(default, int):
        flags.DEFINE_integer(name, default, text, **common)
    elif isinstance(default, float):
        serializer = flags.ArgumentSerializer()
        flags.DEFINE(_FractionParser(), name, default, text, flag_values, serializer)
    elif isinstance(default, str) and "choices" in field.metadata:
        choices = list(field.metadata["choices"])
        flags.DEFINE_enum(name, default, choices, text, **common)
    elif isinstance(default, str):
        flags.DEFINE_string(name, default, text, **common)
    elif default and all(isinstance(part, int) for part in default):
        serializer = flags.CsvListSerializer(",")
        flags.DEFINE(_IntegersParser(), name, default, text, flag_values, serializer)
    else:
        flags.DEFINE_list(name, list(default), text, **common)


def read(arguments: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of command line arguments and of the flag files among them.

    Args:
        arguments: such as ["--flagfile=flags/table3.cfg", "--width=2"].

    Returns:
        Tuple (settings, composition) of dicts by the names of the flags.

    Raises:
        absl.flags.Error: if a flag is unknown or cannot be read.
    """
    values = _parsed(arguments)
    settings = {name: values[name].value for name in FIELDS}
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return settings, {name: values[name].value for name in COMPOSITION}


def given(arguments: list[str]) -> list[str]:
    """The settings that arguments and flag files set, as arguments.

    Args:
        arguments: as of `read`.

    Returns:
        List such as ["--width=2"], without flags that are no settings.

    Raises:
        absl.flags.Error: as `read`.
    """
    values = _parsed(arguments)
    return [values[name].serialize() for name in FIELDS if values[name].present]


def _parsed(arguments):
    values = flags.FlagValues()
    define(values)
    flags.DEFINE_string("flagfile", "", "File of flags.", flag_values=values)
    try:
        arguments = values.read_flags_from_files(arguments)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{' '.join(a for a in arguments if 'flagfile=' in a)}: no text in UTF-8 "
            f"({error}); expected a file of flags, one a line."
        ) from error
    rest = values(["run.py", *arguments])[1:]
    if rest:
        raise flags.Error(
            f"Unexpected arguments: {' '.join(rest)}; flags begin with --."
        )
    return values


def differences(recipe: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Where settings that affect the results differ from the recipe's, as texts."""
    changed = {}
    for name, field in FIELDS.items():
        old, new = recipe[name], settings[name]
        if field.metadata["affects_results"] and name != "seed" and old != new:
            changed[name] = old, new
    return [
        f"{name} {_shown(name, new)} (recipe: {_shown(name, old)})"
        for name, (old, new) in changed.items()
    ]


def _shown(name, value):
    if name.endswith("_examples") and not value:
        return "none" if name == "panel_examples" else "all"
    if name in _FILES:
        return pathlib.PurePath(value).name or "none"
    if name == "corruptions":
        value = tuple(public_corruptions(value))
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "none"
