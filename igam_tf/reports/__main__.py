"""Command line: `python -m igam_tf.reports RUN_FOLDER`."""

import sys

from igam_tf.cli.report import main

if __name__ == "__main__":
    sys.exit(main())
