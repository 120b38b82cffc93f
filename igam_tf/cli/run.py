"""`igam-tf run`, `run.py`: from the command line to a run folder; see `--help`."""

import gc
import os
import sys

from absl import flags

from igam_tf import interrupts
from igam_tf.cli import importing, run_help, start_up
from igam_tf.errors import WorkerLostError

RESTARTS, MAX_RESTARTS = "IGAM_TF_RESTARTS", 20
_HELP = {"-h", "--help", "-help", "--helpfull", "--helpshort"}


def main(arguments: list[str] | None = None) -> None:
    """Runs; bad input ends in one sentence, an interruption in a hint to resume.

    Args:
        arguments: list of strings, or None for `sys.argv`.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if _HELP & set(arguments):
        is_full = "--helpfull" in arguments
        print(run_help.stored() if is_full else run_help.short(), end="")
        return
    try:
        # First of all: a method that they register has flags, too.
        own = importing.named(arguments)
        if not own:
            run_help.check_names(arguments)
        start_up.hold_back_messages()
        with interrupts.stopping():
            importing.import_files(own)
            _run(arguments)
    except WorkerLostError as error:
        _restart(error)
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on where this one stopped.")
    except (
        ValueError, OSError, ImportError, ArithmeticError, flags.Error,
    ) as error:  # fmt: skip
        if os.environ.get("IGAM_TF_TRACEBACK"):
            raise
        sys.exit(f"Error: {error}\n(IGAM_TF_TRACEBACK=1 shows where it came from.)")


def _run(arguments):
    from igam_tf import experiment as experiments
    from igam_tf.cli import recipes
    from igam_tf.experiment.dry_run import dry_run

    # Garbage collections need not look at what was imported: half a million objects.
    gc.freeze()
    experiment, changes = recipes.parse(arguments)
    if changes and changes[0].startswith(recipes.DEFAULT):
        print(
            f"This pair has no recipe of its own: {changes[0]} (flags/defaults), by "
            "the size and number of its images. A flag wins over it; --dry_run "
            "estimates the time.",
            flush=True,
        )
    is_table = not isinstance(experiment, experiments.Experiment)
    if recipes.is_dry_run(arguments):
        for line in dry_run(experiment):
            print(line, flush=True)
    elif is_table:
        experiments.run_table(experiment)
    else:
        experiments.run(experiment, changes=tuple(changes))


def _restart(error):
    """Starts this process anew, to wait for the lost worker and go on with it."""
    restarts = int(os.environ.get(RESTARTS, "0"))
    if restarts >= MAX_RESTARTS:
        sys.exit(f"Error: {error}")
    print(
        f"A worker was lost; waiting for it to be started again. ({error})", flush=True
    )
    os.environ[RESTARTS] = str(restarts + 1)
    # As it was started: `python -m`, options of Python itself.
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
