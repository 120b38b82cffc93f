"""The text of `run.py --help`, kept in a file so that showing it imports no TensorFlow.

The settings themselves are defined beside Keras models, which need TensorFlow.

    python -m igam_tf.cli.run_help    # rewrites it after a change of the settings
"""

import dataclasses
import difflib
import pathlib
import re
import textwrap

from igam_tf.attacks.fractions import fraction

_DESCRIPTION = """\
Trains image classifiers to be robust, by a robust teacher of another task.

    python run.py --flagfile=flags/quickstart.cfg
    python run.py --source=cifar10 --target=cifar100 --data_dir=DIR
    python run.py --flagfile=flags/table3.cfg --size=small --data_dir=DIR

The recipe of a pair of tasks is taken from flags/ unless --flagfile names another, or a
table of the paper, whose rows have a recipe each. --size cuts them down to a laptop's
size; a flag on the command line wins over both. --dry_run prints what would be done.
"""
_STORED = pathlib.Path(__file__).with_name("run_help.txt")
_WIDTH = 88


def stored() -> str:
    """The help text, without importing TensorFlow."""
    return _STORED.read_text(encoding="utf-8")


def check_names(arguments: list[str]) -> None:
    """Refuses unknown flags at once, before TensorFlow is imported.

    Args:
        arguments: of the command line.

    Raises:
        ValueError: naming the closest flag.
    """
    known = {*re.findall(r"^  --(?:\[no\])?(\w+)$", stored(), re.M), "flagfile"}
    for argument in arguments:
        found = re.match(r"--?(no)?(\w+)", argument)
        if not found or {found[2], (found[1] or "") + found[2]} & known:
            continue
        close = difflib.get_close_matches(found[0].lstrip("-"), known, n=1)
        guess = f" Did you mean --{close[0]}?" if close else ""
        raise ValueError(
            f"{argument}: there is no such flag.{guess} See run.py --help."
        )


def rendered() -> str:
    """The help text, made from the settings as they are now."""
    from igam_tf.cli import flags
    from igam_tf.experiment.experiment import GROUPS
    from igam_tf.settings import flag_of
    from igam_tf.training.methods import METHODS

    composition = [_flag(name, "", text) for name, text in flags.COMPOSITION.items()]
    parts = [_DESCRIPTION, "Recipes, sizes and tables.", *composition]
    for group in (*GROUPS.values(), *METHODS.values()):
        fields = dataclasses.fields(group)
        if fields:
            parts += ["", str(group.__doc__).splitlines()[0]]
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
