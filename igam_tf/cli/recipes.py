"""From command line arguments to an `Experiment` or a `Table`: recipes and sizes."""

import pathlib

import igam_tf
from igam_tf.cli import flags, table_text
from igam_tf.experiment.checks import known_dataset
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.table import Row, Table


def _flags_dir():
    """The recipes: inside of an installed package, beside it in a checkout."""
    package = pathlib.Path(igam_tf.__file__).resolve().parent
    shipped = package / "flags"
    return shipped if shipped.is_dir() else package.parent / "flags"


FLAGS_DIR = _flags_dir()


def parse(arguments: list[str]) -> tuple[Experiment | Table, list[str]]:
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
    given, composition = flags.read(own)
    if not recipe and given["teacher_checkpoint"] and not given["source"]:
        recipe = [f"--flagfile={_recipe_of_target(given['target'])}"]
        own = ["--source=", "--input_transform=auto", *own]
    if not recipe:
        recipe = [f"--flagfile={find_recipe(given['source'], given['target'])}"]
    for flagfile in recipe:
        _, asked = flags.read([flagfile])
        if asked["row"]:
            # Other flag files are further flags of its rows.
            own = [*(other for other in recipe if other != flagfile), *own]
            name = pathlib.Path(flagfile.split("=", 1)[1]).stem
            return _table(name, asked, own, composition["size"], given["run_dir"]), []
    return _experiment(recipe, own, composition["size"])


def _experiment(recipe, own, size):
    """An `Experiment` and its changes, from a recipe, at a size, with further flags."""
    recipe = [*recipe, *_overlays(recipe, size)]
    settings, _ = flags.read([*recipe, *own])
    changes = flags.differences(flags.read(recipe)[0], settings)
    return Experiment(**settings), (
        [f"size {size}"] if size != "paper" else []
    ) + changes


def _overlays(recipe, size):
    """Flag files that cut a recipe to a size: common ones, and those of its tasks."""
    if size == "paper":
        return []
    settings, _ = flags.read(recipe)
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
    return Row(
        label, experiment, tuple(changes), table_text.published(columns, numbers)
    )


def find_recipe(source: str, target: str) -> pathlib.Path:
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
    pairs: dict[tuple[str, str], pathlib.Path] = {}
    for path in sorted(FLAGS_DIR.glob("*.cfg"), key=lambda path: len(path.name)):
        settings, composition = flags.read([f"--flagfile={path}"])
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


def _recipe_of_target(target):
    """The flag file of a target task, for a teacher that is given without its own."""
    known_dataset(target, flag="--target")
    found = sorted(FLAGS_DIR.glob(f"*_to_{target}.cfg"))
    if not found:
        raise ValueError(
            f"--target={target}: no recipe for this task; pass --flagfile with a "
            "recipe to start from, --source= (nothing) and --target."
        )
    return found[0]


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


def is_dry_run(arguments: list[str]) -> bool:
    """Whether `--dry_run` is among these command line arguments."""
    return flags.read([a for a in _joined(arguments) if not _is_flagfile(a)])[1][
        "dry_run"
    ]
