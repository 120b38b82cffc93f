"""Seconds to start: `run.py --help`, and to the quickstart's first training step.

    python -m benchmarks.speed.startup

Each round starts new processes. "First step" ends when the first batch of the first
training (the teacher's) has been computed, its tracing included. Bars on 2 cores: 1 s
and 25 s. `python -c "import tensorflow"` stands beside them: what no program avoids.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

from benchmarks.speed import timing

# Stops the quickstart at the end of its first batch.
FIRST_STEP = """
import os, runpy, sys
import keras

def stop(self, batch, logs=None):
    os._exit(7)

keras.callbacks.CallbackList.on_train_batch_end = stop
sys.argv = ["run.py", *sys.argv[1:]]
sys.path.insert(0, os.getcwd())
runpy.run_path("run.py", run_name="__main__")
"""


def run(command, expected=0):
    """A `Sample` of a process, its children included.

    Raises:
        RuntimeError: if it ends with another status.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    before, start = _children_seconds(), time.perf_counter()
    done = subprocess.run(
        command, cwd=timing.REPOSITORY, env=environment, capture_output=True, text=True
    )
    wall = time.perf_counter() - start
    if done.returncode != expected:
        raise RuntimeError(
            f"{' '.join(command)}: status {done.returncode}, expected {expected}.\n"
            f"{done.stdout[-1000:]}\n{done.stderr[-1000:]}"
        )
    return timing.Sample(wall, _children_seconds() - before)


def _children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def first_step(flagfile):
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--flagfile={flagfile}", f"--run_dir={folder}/run"]
        return run([sys.executable, "-c", FIRST_STEP, *flags], expected=7)


def main(arguments=None):
    parser = timing.argparse.ArgumentParser(
        description=__doc__, formatter_class=timing.argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--flagfile", default="flags/quickstart.cfg")
    args = parser.parse_args(arguments)
    timing.print_setting(args)
    python = sys.executable
    cases = {
        "run.py --help": lambda: run([python, "run.py", "--help"]),
        "import igam_tf": lambda: run([python, "-c", "import igam_tf"]),
        "import tensorflow": lambda: run([python, "-c", "import tensorflow"]),
        "quickstart, first step": lambda: first_step(args.flagfile),
    }
    series = timing.alternate(cases, args.rounds)
    timing.print_series(series)


if __name__ == "__main__":
    main()
