"""The texts of `run.py --help` and `--helpfull`, which import no TensorFlow.

The settings themselves are defined beside Keras models, which need TensorFlow; so the
full text is kept in a file, and the short one is cut out of it.

    python -m igam_tf.cli.run_help    # rewrites it after a change of the settings
"""

import dataclasses
import difflib
import pathlib
import re
import textwrap

from igam_tf.attacks.fractions import fraction

_DESCRIPTION = """\
Trains image classifiers whose input gradients are controlled, such as to be like those
of a robust teacher, and measures how robust they are, beside baselines and controls.

    python run.py --flagfile=flags/quickstart.cfg
    python run.py --source=cifar10 --target=cifar100 --data_dir=DIR
    python run.py --flagfile=flags/table3.cfg --size=small --data_dir=DIR

The recipe of a pair of tasks is taken from flags/ unless --flagfile names another, or a
table of the paper, whose rows have a recipe each. --size cuts them down to a laptop's
size; a flag on the command line wins over both, and so does a further --flagfile, of
flags of your own. --dry_run prints what would be done.
"""
_STORED = pathlib.Path(__file__).with_name("run_help.txt")
_WIDTH = 88
_FLAGFILE = (
    "File of flags: a recipe, or a table of the paper, from flags/ (quickstart, "
    "table3), or your own."
)
#: What a first run needs; the others have their values from a recipe.
_FIRST = (
    "source", "target", "data_dir", "flagfile", "size", "dry_run", "methods",
    "controls", "teacher_checkpoint", "student_model", "attacks", "run_dir",
)  # fmt: skip
_HEADING = re.compile(r"^(?P<stage>[A-Z]\w+)\. .+$", re.M)
_ENTRY = re.compile(r"^  --(?:\[no\])?(?P<name>\w+)\n(?: {6}.+\n)+", re.M)


def stored() -> str:
    """The text of all flags, without importing TensorFlow."""
    return _STORED.read_text(encoding="utf-8")


def short() -> str:
    """The flags that matter first, explained, and the names of all, by stage."""
    text = stored()
    headings = list(_HEADING.finditer(text))
    ends = [*(heading.start() for heading in headings[1:]), len(text)]
    explained, names = [_DESCRIPTION], dict[str, list[str]]()
    for heading, end in zip(headings, ends):
        found = _ENTRY.finditer(text, heading.end(), end)
        entries = {entry["name"]: entry[0] for entry in found}
        names.setdefault(heading["stage"], []).extend(entries)
        chosen = [entry for name, entry in entries.items() if name in _FIRST]
        if chosen:
            explained.append(f"{heading[0]}\n{''.join(chosen)}")
    indices = [
        textwrap.fill(
            ", ".join(flags), _WIDTH, initial_indent=f"  {stage.lower():12}",
            subsequent_indent=" " * 14,
        )
        for stage, flags in names.items()
    ]  # fmt: skip
    explained.append(
        "All flags, by stage; run.py --helpfull explains them:\n" + "\n".join(indices)
    )
    return "\n".join(explained) + "\n"


def known() -> list[str]:
    """Names of all flags, without importing TensorFlow."""
    return [entry["name"] for entry in _ENTRY.finditer(stored())]


def check_names(arguments: list[str]) -> None:
    """Refuses unknown flags at once, before TensorFlow is imported.

    Args:
        arguments: of the command line.

    Raises:
        ValueError: naming the closest flag.
    """
    names = set(known())
    for argument in arguments:
        found = re.match(r"--?(no)?(\w+)", argument)
        if not found or {found[2], (found[1] or "") + found[2]} & names:
            continue
        close = difflib.get_close_matches(found[0].lstrip("-"), names, n=1)
        guess = f" Did you mean --{close[0]}?" if close else ""
        raise ValueError(
            f"{argument}: there is no such flag.{guess} See run.py --help."
        )


def rendered() -> str:
    """The text of all flags, made from the settings as they are now."""
    from igam_tf.cli import flags
    from igam_tf.experiment.experiment import GROUPS
    from igam_tf.settings import flag_of
    from igam_tf.training.methods import METHODS

    composition = [_flag(name, "", text) for name, text in flags.COMPOSITION.items()]
    recipe = _flag("flagfile", "", _FLAGFILE)
    parts = [_DESCRIPTION, "Recipe. Recipes, sizes and tables.", recipe, *composition]
    stages = [(name.capitalize(), group) for name, group in GROUPS.items()]
    for stage, group in (*stages, *(("Methods", group) for group in METHODS.values())):
        fields = dataclasses.fields(group)
        if fields:
            parts += ["", f"{stage}. {str(group.__doc__).splitlines()[0]}"]
        parts += [
            _flag(flag_of(f), f.default, f.metadata["help"], f.metadata) for f in fields
        ]
    return "\n".join(parts) + "\n"


def _flag(name, default, text, limits=()):
    head = f"--[no]{name}" if isinstance(default, bool) else f"--{name}"
    if "choices" in limits:
        text += f" One of {', '.join(c or 'none' for c in limits['choices'])}."
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    if default not in ("", ()):
        shown = (
            fraction(default) if isinstance(default, float) else str(default).lower()
        )
        text += f" (default: {shown})"
    indent = " " * 6
    body = textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    return f"  {head}\n{body}"


if __name__ == "__main__":
    _STORED.write_text(rendered(), encoding="utf-8")
