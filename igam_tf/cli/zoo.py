"""`igam-tf zoo`: the networks of recorded tables as a table, or one of them."""

import dataclasses
from collections.abc import Sequence

from igam_tf import zoo
from igam_tf.cli import commands

_DESCRIPTION = """\
Lists the networks of recorded tables: accuracy on clean images and under AutoAttack,
what AutoAttack took, parameters, and whether the network travels with the package. With
a NAME, everything about that one, and the command that trains it.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table, or an entry.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        int: exit status, 0 or 1.
    """
    parser = commands.Parser(prog="igam-tf zoo", description=_DESCRIPTION)
    parser.add_argument("name", nargs="?", help="a network; all if left out")
    parser.add_argument("--dataset", metavar="NAME", help="networks of this data set")
    options = parser.parse_args(arguments)
    return commands.run(lambda: _run(options), interrupted="nothing was written")


def _run(options):
    if options.name is None:
        print(zoo.table(dataset=options.dataset))
        return
    if options.dataset is not None:
        raise ValueError(
            f"--dataset={options.dataset}: of {options.name} everything is shown; "
            "expected a NAME or --dataset, not both."
        )
    for key, value in dataclasses.asdict(zoo.entry(options.name)).items():
        if value not in ("", None):
            print(f"{key}: {value}")
