#!/usr/bin/env python3
"""The user's command, `igam-tf run`: see `igam_tf/cli/run.py` and `run.py --help`."""

from igam_tf.cli.run import main


def parse(arguments):
    """The `Experiment` (or `Table`) of command line arguments, and its changes."""
    from igam_tf.cli import recipes

    return recipes.parse(arguments)


if __name__ == "__main__":
    main()
