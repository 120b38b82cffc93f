#!/usr/bin/env python3
"""The user's command, `igam-tf run`: see `igam_tf/cli/run.py` and `run.py --help`."""

from igam_tf.cli.run import main

if __name__ == "__main__":
    main()
