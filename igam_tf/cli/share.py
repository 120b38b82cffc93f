"""The command `igam-tf share`; imports TensorFlow only after parsing."""

import argparse
import pathlib
from collections.abc import Sequence

from igam_tf.cli import commands

_DESCRIPTION = """\
Puts a trained student of a run into a folder that is ready for the Hugging Face hub:
its card as README.md, the .keras file and its results, without paths of this machine.
Nothing is uploaded.
"""
_EXAMPLE = """\
example:
  igam-tf share runs/digits_to_digits_parity-020f8eed igam shared/igam
  hf upload OWNER/NAME shared/igam        # of the package huggingface_hub
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the folder.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        int: exit status, 0 or 1.
    """
    options = _parser().parse_args(arguments)
    return commands.run(
        lambda: _run(options), interrupted="delete the folder and start again"
    )


def _parser() -> argparse.ArgumentParser:
    parser = commands.Parser(
        prog="igam-tf share", description=_DESCRIPTION, epilog=_EXAMPLE
    )
    add = parser.add_argument
    add("folder", metavar="RUN_FOLDER", type=pathlib.Path,
        help="folder of a finished run.py")  # fmt: skip
    add("row", metavar="ROW", help="name of a row, such as igam")
    add("out", metavar="OUT_DIR", type=pathlib.Path, help="a new folder")
    return parser


def _run(options):
    from igam_tf import cards

    print(*cards.share(options.folder, options.row, options.out), sep="\n")
    print(f"To publish it: hf upload OWNER/NAME {options.out}", flush=True)
