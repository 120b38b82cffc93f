#!/usr/bin/env python3
"""Trains image classifiers to be robust, by a robust teacher of another task.

    python run.py --flagfile=flags/quickstart.cfg
    python run.py --source=cifar10 --target=cifar100 --data_dir=DIR
    python run.py --flagfile=flags/table3.cfg --size=small --data_dir=DIR

The recipe of a pair of tasks is taken from flags/ unless --flagfile names another, or a
table of the paper, whose rows have a recipe each. --size cuts them down to a laptop's
size; a flag on the command line wins over both.
"""

import dataclasses
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from igam_tf import interrupts
from igam_tf.attacks.fractions import parse_fraction
from igam_tf.errors import WorkerLostError
from igam_tf.experiment import table_text
from igam_tf.experiment.config import Experiment
from igam_tf.experiment.setting import known_dataset
from igam_tf.experiment.table import Row, Table

FLAGS_DIR = pathlib.Path(__file__).resolve().parent / "flags"
RESTARTS, MAX_RESTARTS = "IGAM_TF_RESTARTS", 20
SIZES = ("paper", "small", "tiny")
_SETTINGS = dataclasses.fields(Experiment)
#: Flags that put settings together, and are none themselves.
_HELP = {
    "size": "The paper's networks and steps, minutes a row on 2 cores, or a smoke test.",
    "table": "Title of a table.",
    "columns": "Columns of --paper.",
    "row": "Row of a table: 'label: recipe --flag=value ...'. A value such as 0.25x is "
    "that part of the recipe's; {epochs} in a label stands for the value.",
    "paper": "One for each --row, in the same order: the paper's numbers, in the order "
    "of --columns.",
}


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


def define_flags(flag_values=flags.FLAGS):
    """One flag for every setting of `Experiment`, and those that put it together."""
    common = {"flag_values": flag_values}
    flags.DEFINE_enum("size", "paper", SIZES, _HELP["size"], **common)
    flags.DEFINE_string("table", "", _HELP["table"], **common)
    flags.DEFINE_list("columns", [], _HELP["columns"], **common)
    flags.DEFINE_multi_string("row", [], _HELP["row"], **common)
    flags.DEFINE_multi_string("paper", [], _HELP["paper"], **common)
    for field in _SETTINGS:
        text, default = field.metadata["help"], field.default
        if isinstance(default, bool):
            flags.DEFINE_bool(field.name, default, text, **common)
        elif isinstance(default, int):
            flags.DEFINE_integer(field.name, default, text, **common)
        elif isinstance(default, float):
            flags.DEFINE(
                _FractionParser(), field.name, default, text, flag_values,
                flags.ArgumentSerializer(),
            )
        elif isinstance(default, str) and "choices" in field.metadata:
            flags.DEFINE_enum(
                field.name, default, list(field.metadata["choices"]), text, **common
            )
        elif isinstance(default, str):
            flags.DEFINE_string(field.name, default, text, **common)
        elif default and all(isinstance(part, int) for part in default):
            flags.DEFINE(
                _IntegersParser(), field.name, default, text, flag_values,
                flags.CsvListSerializer(","),
            )
        else:
            flags.DEFINE_list(field.name, list(default), text, **common)


def parse(arguments):
    """The settings that command line arguments ask for.

    Args:
        arguments: list of strings such as "--source=cifar10".

    Returns:
        Tuple (experiment, changes): an `Experiment`, and where it differs from its
        recipe: cut sizes and anything else but the seed. Of a table, a `Table`, whose
        rows have them, and no changes.

    Raises:
        ValueError: if the pair has no recipe or a setting is wrong.
        absl.flags.Error: if a flag is unknown or cannot be read.
    """
    arguments = _joined(arguments)
    recipe = [a for a in arguments if _is_flagfile(a)]
    own = [a for a in arguments if not _is_flagfile(a)]
    given, composition = _read(own)
    if not recipe:
        recipe = [f"--flagfile={find_recipe(given['source'], given['target'])}"]
    for flagfile in recipe:
        _, asked = _read([flagfile])
        if asked["row"]:
            # Other flag files are further flags of its rows.
            own = [*(other for other in recipe if other != flagfile), *own]
            name = pathlib.Path(flagfile.split("=", 1)[1]).stem
            return _table(name, asked, own, composition["size"], given["run_dir"]), []
    return _experiment(recipe, own, composition["size"])


def _experiment(recipe, own, size):
    """An `Experiment` and its changes, from a recipe, at a size, with further flags."""
    recipe = [*recipe, *_overlays(recipe, size)]
    settings, _ = _read([*recipe, *own])
    changes = _differences(_read(recipe)[0], settings)
    return Experiment(**settings), ([f"size {size}"] if size != "paper" else []) + changes


def _overlays(recipe, size):
    """Flag files that cut a recipe to a size: of all recipes, its source, its target."""
    if size == "paper":
        return []
    settings, _ = _read(recipe)
    if settings["source"].startswith("digits"):
        raise ValueError(f"--size={size}: the quickstart has one size; leave it out.")
    names = ["common", *(f"{role}_{settings[role]}" for role in ("source", "target"))]
    files = [FLAGS_DIR / "sizes" / size / f"{name}.cfg" for name in names]
    return [f"--flagfile={path}" for path in files if path.exists()]


def _table(name, asked, own, size, run_dir):
    """A `Table`, from what its flag file asks for and the flags of the command line."""
    published = asked["paper"] or [""] * len(asked["row"])
    if len(published) != len(asked["row"]):
        raise ValueError(
            f"{name}: {len(asked['row'])} --row and {len(published)} --paper; expected "
            "one --paper a row, in their order, or none."
        )
    pairs = zip(asked["row"], published, strict=True)
    rows = (_row(text, numbers, own, size, asked["columns"]) for text, numbers in pairs)
    return Table(name, asked["table"], tuple(rows), size, run_dir)


def _row(text, numbers, own, size, columns):
    """A `Row`, from the text of its --row and its --paper."""
    label, base, more = table_text.split(text)
    path = FLAGS_DIR / f"{base}.cfg"
    if not path.is_file():
        raise ValueError(
            f"--row={text!r} names no recipe of {FLAGS_DIR}; expected "
            "'label: recipe --flag=value ...'."
        )
    recipe = [f"--flagfile={path}"]
    more = table_text.in_parts(more, _experiment(recipe, own, size)[0])
    experiment, changes = _experiment(recipe, [*more, *own], size)
    label = table_text.label_of(label, experiment)
    return Row(label, experiment, tuple(changes), table_text.published(columns, numbers))


def find_recipe(source, target):
    """The flag file of a pair of tasks.

    Raises:
        ValueError: if there is none, naming the pairs that have one.
    """
    if not source or not target:
        raise ValueError(
            "Pass --source and --target, or --flagfile=flags/quickstart.cfg; "
            f"recipes: {', '.join(sorted(p.name for p in FLAGS_DIR.glob('*.cfg')))}."
        )
    for role, name in (("source", source), ("target", target)):
        known_dataset(name, flag=f"--{role}")
    pairs = {}
    for path in sorted(FLAGS_DIR.glob("*.cfg"), key=lambda path: len(path.name)):
        settings, composition = _read([f"--flagfile={path}"])
        if composition["row"]:
            continue
        pairs.setdefault((settings["source"], settings["target"]), path)
    if (source, target) not in pairs:
        known = ", ".join(f"{s} -> {t}" for s, t in sorted(pairs))
        raise ValueError(
            f"--source={source} --target={target}: no recipe for this pair; known: "
            f"{known}. Pass --flagfile with a recipe to start from, and the pair."
        )
    return pairs[source, target]


def _joined(arguments):
    """`--flagfile X` as `--flagfile=X`."""
    joined = []
    for argument in arguments:
        if joined and joined[-1] in ("--flagfile", "-flagfile"):
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _is_flagfile(argument):
    return argument.lstrip("-").startswith("flagfile=")


def _read(arguments):
    values = flags.FlagValues()
    define_flags(values)
    flags.DEFINE_string("flagfile", "", "File of flags.", flag_values=values)
    rest = values(["run.py", *values.read_flags_from_files(arguments)])[1:]
    if rest:
        raise flags.Error(f"Unexpected arguments: {' '.join(rest)}; flags begin with --.")
    settings = {field.name: values[field.name].value for field in _SETTINGS}
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return settings, {name: values[name].value for name in _HELP}


def _differences(recipe, settings):
    """Where settings that decide the results differ from the recipe's."""
    changed = {}
    for field in _SETTINGS:
        old, new = recipe[field.name], settings[field.name]
        if field.metadata["decides"] and field.name != "seed" and old != new:
            changed[field.name] = old, new
    return [
        f"{name} {_shown(name, new)} (recipe: {_shown(name, old)})"
        for name, (old, new) in changed.items()
    ]


def _shown(name, value):
    if name.endswith("_examples") and not value:
        return "none" if name == "panel_examples" else "all"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value) or "none"


def restart(error):
    """Starts this process anew, to wait for the lost worker and go on with it."""
    restarts = int(os.environ.get(RESTARTS, "0"))
    if restarts >= MAX_RESTARTS:
        sys.exit(f"Error: {error}")
    print(f"A worker was lost; waiting for it to be started again. ({error})", flush=True)
    os.environ[RESTARTS] = str(restarts + 1)
    os.execv(sys.executable, [sys.executable, *sys.argv])


def main(arguments):
    """Runs; bad input ends in one sentence, an interruption in a hint to resume."""
    try:
        experiment, changes = parse(arguments)
        from igam_tf import experiment as experiments

        with interrupts.stopping():
            if isinstance(experiment, Table):
                experiments.run_table(experiment)
            else:
                experiments.run(experiment, changes=changes)
    except WorkerLostError as error:
        restart(error)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on where this one stopped.")
    except (ValueError, OSError, ArithmeticError, flags.Error) as error:
        if os.environ.get("IGAM_TF_TRACEBACK"):
            raise
        sys.exit(f"Error: {error}\n(IGAM_TF_TRACEBACK=1 shows where it came from.)")


if __name__ == "__main__":
    define_flags()
    # absl answers --help and hands over everything else as it was typed.
    if any(a in ("-h", "--help", "-help", "--helpfull", "--helpshort") for a in sys.argv):
        try:
            app.run(lambda _: None, argv=["--help" if a == "-h" else a for a in sys.argv])
        except SystemExit:
            # absl exits with 1, as after an error.
            sys.exit(0)
    main(sys.argv[1:])
