"""Command line: `python -m igam_tf.evaluate model.keras --dataset=cifar10`.

In Python `igam_tf.evaluate` is the function of that name in `igam_tf.evaluation`. It
stays that also after `import igam_tf.evaluate`, which finds this file: as a module it
puts the function in its own place.
"""

import sys

if __name__ == "__main__":
    from igam_tf.cli.evaluate import main

    sys.exit(main())
else:
    from igam_tf.evaluation.accuracy import evaluate

    # A function in the place of a module.
    sys.modules[__name__] = evaluate  # type: ignore[assignment]
