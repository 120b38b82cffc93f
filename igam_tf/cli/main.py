"""The command `igam-tf`: one word for each command."""

import importlib
import sys

from igam_tf.cli import start_up

_COMMANDS = {
    "run": "train a table's rows, evaluate them, and write tables and figures",
    "evaluate": "evaluate any Keras classifier under attack",
    "report": "make page, table and figures of a run folder again",
    "zoo": "list the networks of recorded tables, and how to make them",
    "share": "make a folder for the Hugging Face hub of a trained student",
    "checkpoints": "fetch, describe or convert TensorFlow 1 checkpoints",
}


def main(arguments: list[str] | None = None) -> int | None:
    """Runs one of the commands.

    Args:
        arguments: list of strings, or None for `sys.argv`.

    Returns:
        Exit status.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in _COMMANDS:
        if arguments[0] == "checkpoints":
            # It needs TensorFlow for its arguments; the others begin later.
            start_up.hold_back_messages("3")
        module = importlib.import_module(f"igam_tf.cli.{arguments[0]}")
        return module.main(arguments[1:])
    usage = "\n".join(f"  {name:12} {text}" for name, text in _COMMANDS.items())
    text = f"usage: igam-tf COMMAND ...; igam-tf COMMAND --help\n\n{usage}"
    if arguments and arguments[0] in ("-h", "--help"):
        print(text)
        return 0
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
