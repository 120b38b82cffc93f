#!/usr/bin/env python3
"""Transfers adversarial robustness from one image classification task to another.

    python run.py --flagfile=flags/quickstart.cfg
    python run.py --source=cifar10 --target=cifar100 --data_dir=DIR

The recipe of a pair of tasks is taken from flags/ unless --flagfile names another; a
flag on the command line wins over the recipe.
"""

import dataclasses
import fractions
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags

from igam_tf.errors import WorkerLostError
from igam_tf.experiment.config import Experiment
from igam_tf.experiment.setting import known_dataset

FLAGS_DIR = pathlib.Path(__file__).resolve().parent / "flags"
RESTARTS, MAX_RESTARTS = "IGAM_TF_RESTARTS", 20
_SETTINGS = dataclasses.fields(Experiment)


class _FractionParser(flags.FloatParser):
    """Accepts 8/255 as well as 0.0314."""

    def parse(self, argument):
        try:
            return float(fractions.Fraction(str(argument)))
        except (ValueError, ZeroDivisionError):
            return super().parse(argument)


class _IntegersParser(flags.ArgumentParser):
    """Accepts 16,32,64."""

    def parse(self, argument):
        if not isinstance(argument, str):
            return tuple(argument)
        return tuple(int(part) for part in argument.split(","))


def define_flags(flag_values=flags.FLAGS):
    """One flag for every setting of `Experiment`."""
    for field in _SETTINGS:
        text, common = field.metadata["help"], {"flag_values": flag_values}
        default = field.default
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
        elif all(isinstance(part, int) for part in default):
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
        recipe: cut sizes and anything else but the seed.

    Raises:
        ValueError: if the pair has no recipe or a setting is wrong.
        absl.flags.Error: if a flag is unknown or cannot be read.
    """
    arguments = _joined(arguments)
    recipe = [a for a in arguments if _is_flagfile(a)]
    own = [a for a in arguments if not _is_flagfile(a)]
    if not recipe:
        given = _read(own)
        recipe = [f"--flagfile={find_recipe(given['source'], given['target'])}"]
    settings = _read([*recipe, *own])
    return Experiment(**settings), _differences(_read(recipe), settings)


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
        settings = _read([f"--flagfile={path}"])
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
    return {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}


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
        return "all"
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
