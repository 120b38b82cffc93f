"""Command line: `python -m igam_tf.checkpoints fetch | describe | convert`."""

import sys

from igam_tf.cli.checkpoints import main

if __name__ == "__main__":
    sys.exit(main())
