"""The text of `run.py --help`, kept in a file: its settings stand beside Keras models.

    python -m igam_tf.cli.run_help    # writes it anew, after a setting was changed
"""

import pathlib

_STORED = pathlib.Path(__file__).with_name("run_help.txt")


def stored() -> str:
    """The help text, without importing TensorFlow."""
    return _STORED.read_text(encoding="utf-8")


def rendered() -> str:
    """The help text as the settings have it now."""
    from absl import flags as absl_flags

    from igam_tf.cli import flags, run

    values = absl_flags.FlagValues()
    flags.define(values)
    return f"{run.__doc__}\nflags:\n{values.get_help()}\n"


if __name__ == "__main__":
    _STORED.write_text(rendered(), encoding="utf-8")
