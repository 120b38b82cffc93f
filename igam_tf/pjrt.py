"""Deprecated: `igam_tf.pjrt` is now `igam_tf.export.runner`.

`python -m igam_tf.pjrt` and the public names work until the next release.
"""

import sys
import warnings

from igam_tf.export.runner import ExportedAttack, ExportedStep, Losses, load

__all__ = ["ExportedAttack", "ExportedStep", "Losses", "load"]

if __name__ != "__main__":
    warnings.warn(
        "igam_tf.pjrt is now igam_tf.export.runner; this name goes with the next "
        "release.",
        DeprecationWarning,
        stacklevel=2,
    )
else:
    from igam_tf.export.runner.__main__ import main

    print(
        "`python -m igam_tf.pjrt` is now `python -m igam_tf.export.runner`; this name "
        "goes with the next release.",
        file=sys.stderr,
    )
    sys.exit(main())
