"""From command line arguments to an `Experiment` or a `Table`: recipes and sizes."""

import pathlib
import warnings

import igam_tf
from igam_tf.cli import default_recipes, flags, table_text
from igam_tf.data import registry
from igam_tf.experiment.checks import have_teacher
from igam_tf.experiment.experiment import FIELDS, Experiment
from igam_tf.experiment.settings import OWN_DATA
from igam_tf.experiment.table import FROM_ROW, Row, Table
from igam_tf.settings import naming

#: How the changes of an experiment begin that has no recipe of its own.
DEFAULT = "default recipe"
# Flags that stand in the file of a table only.
_TABLE = ("table", "columns", "row", "paper")


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
        ValueError: if a setting is wrong.
        OSError: if a flag file, or data of one's own, are missing or cannot be read.
        absl.flags.Error: if a flag is unknown or cannot be read.
    """
    arguments = _found(arguments)
    files = [a for a in arguments if _is_flagfile(a)]
    # A table, or else the first file, is the recipe; others are flags like any other.
    tables = [file for file in files if flags.read([file])[1]["row"]]
    recipe = (tables or files)[:1]
    own = [file for file in files if file not in recipe]
    own += [a for a in arguments if not _is_flagfile(a)]
    given, composition = flags.read(own)
    _check_no_table(own)
    if not recipe:
        # A teacher that is given needs no data of its own, and has no recipe; nor has
        # a target without a teacher.
        without = given["teacher_checkpoint"] or not have_teacher(given["methods"])
        is_alone = without and not given["source"]
        found = None
        if not is_alone or not given["target"]:
            found = find_recipe(given["source"], given["target"])
        if found is None:
            return _default(own, given, composition["size"])
        recipe = [f"--flagfile={found}"]
    _, asked = flags.read(recipe)
    _check_size(recipe[0], asked["size"])
    if asked["row"]:
        name = pathlib.Path(recipe[0].split("=", 1)[1]).stem
        shared = flags.given(recipe)
        options = (own, composition["size"], given["run_dir"])
        table = _table(name, asked, shared, *options)
        bases = [_recipe_of(table_text.split(row)[1]) for row in asked["row"]]
        rows = [[f"--flagfile={base}", *shared] for base in bases]
        _tell_replaced(recipe[0], rows, composition["size"])
        return table, []
    _tell_replaced(recipe[0], [recipe], composition["size"])
    experiment, changes = _experiment(recipe, own, composition["size"])
    if experiment.student.checkpoint.startswith(FROM_ROW):
        raise ValueError(
            f"--student_checkpoint={experiment.student.checkpoint}: only a row of a "
            "table can start from another row; expected a file."
        )
    return experiment, changes


def _check_size(recipe, size):
    """Refuses a size inside of a recipe, which is what a size cuts."""
    if size != "paper":
        raise ValueError(
            f"{recipe}: --size={size} stands in the file, and a size cuts a recipe; "
            "expected --flagfile=RECIPE before this file, whose flags then win over "
            "the size, or --size on the command line, which replaces some of them."
        )


def _tell_replaced(file, recipes, size):
    """Warns of the flags of a file of one's own that a size replaces.

    A shipped recipe or table is there to be cut; in a file of one's own they may be
    meant.
    """
    path = pathlib.Path(file.split("=", 1)[1])
    if path.resolve().is_relative_to(FLAGS_DIR):
        return
    cuts = [flags.given([*recipe, *_overlays(recipe, size)]) for recipe in recipes]
    replaced = [f for f in flags.given([file]) if any(f not in cut for cut in cuts)]
    if replaced:
        warnings.warn(
            f"--size={size} cuts {path.name} as it cuts a recipe, and replaces its "
            f"{', '.join(replaced)}. Flags on the command line win over the size: "
            "repeat there what you want to keep.",
            stacklevel=2,
        )


def _check_no_table(own):
    """Refuses what makes a table, outside of the one file that is one."""
    asked = _table_flags(own)
    if not asked:
        return
    files = [a for a in own if _is_flagfile(a) and _table_flags([a])]
    raise ValueError(
        f"{', '.join(asked)} {'of ' + files[0] if files else 'on the command line'}: "
        "expected in the flag file of one table only, which is given by --flagfile. "
        "Copy such a file and change its rows; two tables are two commands."
    )


def _table_flags(arguments):
    _, composition = flags.read(arguments)
    return [f"--{name}" for name in _TABLE if composition[name]]


def _default(own, given, size):
    """An `Experiment` of a pair without a recipe, and its changes."""
    if size != "paper":
        raise ValueError(
            f"--size={size}: this pair has no recipe of its own, and the default "
            "recipes have one size; pass --epochs, --width or --train_examples."
        )
    found = default_recipes.find(given, FLAGS_DIR / "defaults")
    # What data there are, and how they are read, is no departure from the recipe.
    pair = [
        f"--{name}={given[name]}"
        for name in ("source", "target", *OWN_DATA)
        if given[name] != FIELDS[name].default
    ]
    recipe = [*(f"--flagfile={path}" for path in found), *pair]
    experiment, changes = _experiment(recipe, own, size)
    names = " + ".join(path.stem for path in found)
    return experiment, [f"{DEFAULT} {names}", *changes]


def _experiment(recipe, own, size):
    """An `Experiment` and its changes, from a recipe, at a size, with further flags."""
    recipe = [*recipe, *_overlays(recipe, size)]
    settings, _ = flags.read([*recipe, *own])
    changes = flags.differences(flags.read(recipe)[0], settings)
    return Experiment(**settings), (
        [f"size {size}"] if size != "paper" else []
    ) + changes


def _overlays(recipe, size):
    """Flag files that cut a recipe to a size: its own, or those of its tasks."""
    if size == "paper":
        return []
    settings, _ = flags.read(recipe)
    if settings["source"].startswith("digits"):
        raise ValueError(f"--size={size}: the quickstart has one size; leave it out.")
    # Recipes of other papers have sizes of their own.
    names = [pathlib.Path(recipe[0].split("=", 1)[1]).stem]
    if not (FLAGS_DIR / "sizes" / size / f"{names[0]}.cfg").exists():
        tasks = (f"{role}_{settings[role]}" for role in ("source", "target"))
        names = ["common", *tasks]
    files = [FLAGS_DIR / "sizes" / size / f"{name}.cfg" for name in names]
    return [f"--flagfile={path}" for path in files if path.exists()]


def _table(name, asked, shared, own, size, run_dir):
    """A `Table`, from what its flag file asks for and the flags of the command line.

    Flags of the file itself are those of all its rows, after their recipes.
    """
    published = asked["paper"] or [""] * len(asked["row"])
    if len(published) != len(asked["row"]):
        raise ValueError(
            f"{name}: {len(asked['row'])} --row and {len(published)} --paper; expected "
            "one --paper a row, in their order, or none."
        )
    pairs = zip(asked["row"], published, strict=True)
    columns = asked["columns"]
    rows = (_row(text, paper, shared, own, size, columns) for text, paper in pairs)
    return Table(name, asked["table"], tuple(rows), size, run_dir)


def _row(text, numbers, shared, own, size, columns):
    """A `Row`, from the text of its --row and its --paper."""
    label, base, more = table_text.split(text)
    path = _recipe_of(base)
    if not path.is_file():
        raise ValueError(
            f"--row={text!r} names no recipe of {FLAGS_DIR}; expected "
            "'label: recipe --flag=value ...'."
        )
    recipe = [f"--flagfile={path}", *shared]
    if table_text.has_parts(more):
        more = table_text.in_parts(more, _experiment(recipe, own, size)[0])
    experiment, changes = _experiment(recipe, [*more, *own], size)
    label = table_text.label_of(label, experiment)
    return Row(
        label, experiment, tuple(changes), table_text.published(columns, numbers)
    )


def _recipe_of(base):
    return FLAGS_DIR / f"{base}.cfg"


def find_recipe(source: str, target: str) -> pathlib.Path | None:
    """The flag file of a pair of tasks; None if it has none of its own.

    Raises:
        ValueError: if a task is left out, or its name is unknown.
    """
    if not source or not target:
        raise ValueError(
            "Pass --source and --target, or --flagfile=flags/quickstart.cfg; "
            f"recipes: {', '.join(sorted(p.name for p in FLAGS_DIR.glob('*.cfg')))}."
        )
    for role, name in (("source", source), ("target", target)):
        # Own data are looked at later, with the flags that say how.
        if not registry.is_own(name):
            with naming(f"--{role}"):
                registry.find(name)
    pairs: dict[tuple[str, str], pathlib.Path] = {}
    for path in sorted(FLAGS_DIR.glob("*.cfg"), key=lambda path: len(path.name)):
        settings, composition = flags.read([f"--flagfile={path}"])
        if composition["row"]:
            continue
        pairs.setdefault((settings["source"], settings["target"]), path)
    return pairs.get((source, target))


def _found(arguments):
    """The arguments with each --flagfile by its path."""
    return [
        f"--flagfile={_file_of(a)}" if _is_flagfile(a) else a
        for a in _joined(arguments)
    ]


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


def _file_of(argument):
    """The file of a --flagfile: as it stands, or a recipe by its name or its path.

    An installed program is run where there is no folder flags/.
    """
    given = argument.split("=", 1)[1]
    path = pathlib.Path(given).expanduser()
    if path.exists():
        return path
    inside = path.relative_to("flags") if path.parts[:1] == ("flags",) else path
    for found in (FLAGS_DIR / inside, FLAGS_DIR / f"{inside}.cfg"):
        if found.is_file():
            return found
    raise FileNotFoundError(
        f"--flagfile={given}: there is no such file; expected a path, or a recipe of "
        f"{FLAGS_DIR}: {', '.join(sorted(p.stem for p in FLAGS_DIR.glob('*.cfg')))}."
    )


def is_dry_run(arguments: list[str]) -> bool:
    """Whether `--dry_run` is among these command line arguments, or in a file of them.

    Raises:
        FileNotFoundError: if a flag file is missing.
    """
    return flags.read(_found(arguments))[1]["dry_run"]
