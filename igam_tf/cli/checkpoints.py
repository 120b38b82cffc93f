"""`igam-tf checkpoints fetch | describe | convert`."""

import argparse
import sys
from collections.abc import Sequence

from igam_tf.checkpoints import convert, describe, fetch
from igam_tf.checkpoints.published import BY_HAND, DOWNLOADS


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        int: exit status, 0 or 1.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what was downloaded is kept and resumed", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="igam-tf checkpoints",
        description="TF1 checkpoints of MadryLab and of the IGAM authors.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fetch(commands)
    description = commands.add_parser("describe", help="say what a checkpoint holds")
    description.add_argument("path", help="folder, prefix, .index file or zip")
    description.set_defaults(run=_describe)
    _add_convert(commands)
    return parser


def _add_fetch(commands):
    command = commands.add_parser(
        "fetch",
        help="download a published checkpoint",
        epilog="The IGAM authors' checkpoints are downloaded by hand: fetch says what "
        f"from where, for {', '.join(BY_HAND)}.",
    )
    command.add_argument("name", choices=[*DOWNLOADS, *BY_HAND], metavar="NAME",
                         help=", ".join(DOWNLOADS))  # fmt: skip
    command.add_argument("--folder", default="models", help="where NAME/ is made")
    command.set_defaults(run=_fetch)


def _add_convert(commands):
    command = commands.add_parser("convert", help="write a checkpoint as .keras file")
    command.add_argument("source", metavar="IN", help="checkpoint, or .keras file")
    command.add_argument("target", metavar="OUT.keras")
    command.add_argument("--part", choices=("teacher", "student", "discriminator"))
    command.add_argument("--head", choices=("source", "target"))
    command.add_argument("--normalization", help="of the input; see describe")
    command.add_argument(
        "--image_shape",
        nargs=3,
        type=int,
        metavar=("HEIGHT", "WIDTH", "CHANNELS"),
        help="of the input; see describe",
    )
    command.add_argument(
        "--moving_statistics",
        metavar="PATH",
        help="checkpoint with the batch statistics that IN lacks, or 'initial'",
    )
    command.set_defaults(run=_convert)


def _fetch(options):
    folder = fetch(options.name, options.folder)
    print(f"unpacked in {folder}")
    print(f"next: igam-tf checkpoints describe {folder}")


def _describe(options):
    print(describe(options.path))


def _convert(options):
    difference = convert(
        options.source,
        options.target,
        part=options.part,
        head=options.head,
        normalization=options.normalization,
        image_shape=options.image_shape,
        moving_statistics=options.moving_statistics,
    )
    print(f"wrote {options.target}: largest difference of logits {difference:.3g}")


if __name__ == "__main__":
    sys.exit(main())
