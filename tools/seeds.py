"""A run over several seeds: mean and spread of its table.

    python -m tools.seeds --flagfile=flags/quickstart.cfg --seeds=5 \\
        --runs=runs/quickstart --json=results/quickstart_seeds.json

One run folder a seed, RUNS/seed-N: finished ones are read and not repeated, and when
killed, the same command goes on. What follows " -- " goes to run.py as it stands.
--parallel=2 runs two at once with one thread each, as small networks use one core best;
their output is in RUNS/seed-N/output.log.

The recipe may be a table of several rows (flags/gradnorm_table4.cfg). Variants are sets
of extra flags. Each has its folders in RUNS/NAME/seed-N, and its rows
are "GradNorm, GELU" and so on:

    ... --variant ReLU=--activation=relu --variant GELU=--activation=gelu,--epochs=9

Only the variants run then. `--variant NAME=` is one without extra flags: the network's
own activation, say, which is not ReLU everywhere. Epoch times are only as good as the
machine was quiet: identical trainings of 4 short epochs on busy cores differed by a
factor of two.

Writes the JSON file, of which `python -m tools.readme_tables` makes README's
tables, and prints the table.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

from absl import flags as absl_flags

from igam_tf import files
from igam_tf.cli import recipes
from igam_tf.experiment.experiment import as_recorded
from igam_tf.experiment.table import FROM_ROW, Table
from tools import seeds_summary

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
RUN = REPOSITORY / "run.py"
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Job:
    """One seed of one variant.

    Args:
        variant: its name; "" without variants.
        seed: the seed.
        folder: run folder.
        flags: tuple of flags for run.py, without seed and folder.
    """

    variant: str
    seed: int
    folder: pathlib.Path
    flags: tuple

    @property
    def name(self):
        return f"{self.variant}, seed {self.seed}".removeprefix(", ")

    def command(self):
        own = [f"--seed={self.seed}", f"--run_dir={self.folder}"]
        return [sys.executable, str(RUN), *self.flags, *own]

    def results(self):
        """Contents of results.json, or None."""
        path = self.folder / "results.json"
        return json.loads(path.read_text()) if path.exists() else None

    def is_finished(self):
        """Whether the folder holds all that is asked for.

        Raises:
            ValueError: if a flag is wrong, or the folder holds another run.
            absl.flags.Error: if a flag is unknown.
        """
        wanted, _ = recipes.parse([*self.flags, f"--seed={self.seed}"])
        results = self.results()
        if results is None:
            return False
        rows = results["rows"]
        if not isinstance(wanted, Table):
            self._check(wanted, results["settings"])
            evaluated = all(_is_evaluated(wanted, row) for row in rows.values())
            return evaluated and set(wanted.rows) <= set(rows)
        for row in wanted.rows:
            # A table keeps with each row what not all of them share.
            own = rows.get(row.name, {}).get("settings", {})
            self._check(row.experiment, {**results["settings"], **own})
        return all(
            row.name in rows and _is_evaluated(row.experiment, rows[row.name])
            for row in wanted.rows
        )

    def _check(self, experiment, before):
        """Raises ValueError unless a run of these settings goes on in the folder."""
        asked = _flags(experiment)
        before = as_recorded(before, asked)
        fixed = set(experiment.fixed_flags())
        if experiment.student.checkpoint.startswith(FROM_ROW):
            # The file of that row, wherever the run has it.
            fixed -= {"student_checkpoint"}
        other = [n for n in asked if n in fixed & set(before) and before[n] != asked[n]]
        if other:
            changes = [f"--{n}: {before[n]!r} there, {asked[n]!r} now" for n in other]
            raise ValueError(
                f"{self.folder} holds a run of other settings ({', '.join(changes)}); "
                "pass the same flags to go on with it, or another --runs."
            )


def _flags(experiment):
    """The settings of an experiment, as JSON gives them back."""
    return json.loads(json.dumps(experiment.flags()))


def _is_evaluated(experiment, row):
    """Whether a row was evaluated as the experiment asks."""
    asked = json.loads(json.dumps(experiment.evaluation.flags()))
    recorded = as_recorded(row["evaluation"].get("settings", {}), asked)
    # Settings that the record does not name are not asked of it.
    return all(asked.get(name, value) == value for name, value in recorded.items())


def parse_variant(text):
    """Name and flags of a variant.

    Args:
        text: such as "GELU=--activation=gelu,--epochs=9".

    Returns:
        Tuple such as ("GELU", ("--activation=gelu", "--epochs=9")).

    Raises:
        argparse.ArgumentTypeError: if it is not of this form.
    """
    form = re.fullmatch(r"(\w[^=/]*)=((?:--.+)?)", text)
    if form is None:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected NAME=--flag=value,--flag=value, without / in NAME."
        )
    name, extra = form.groups()
    return name, tuple(re.split(r",(?=--)", extra)) if extra else ()


def plan(seeds, runs, flags, variants):
    """Jobs by variant.

    Args:
        seeds: iterable of seeds.
        runs: folder of the run folders.
        flags: list of flags that all have in common.
        variants: dict from name to tuple of extra flags; may be empty.

    Returns:
        dict from variant ("" without variants) to list of `Job`, one a seed.

    Raises:
        ValueError: if flags set what this program sets.
    """
    for flag in [*flags, *(flag for extra in variants.values() for flag in extra)]:
        if re.match(r"--?(seed|run_dir)\b", flag):
            raise ValueError(f"{flag}: it is set here; pass --seeds or --runs.")
    return {
        name: [
            Job(name, seed, runs / name / f"seed-{seed}", (*flags, *extra))
            for seed in seeds
        ]
        for name, extra in (variants or {"": ()}).items()
    }


def execute(jobs, parallel):
    """Runs jobs, some at once; when one fails or this process ends, the others end.

    Args:
        jobs: list of `Job`.
        parallel: how many at once; of more than one, each has one thread.

    Raises:
        RuntimeError: if a job fails.
    """
    waiting, running = list(jobs), {}
    with contextlib.ExitStack() as logs:
        try:
            while waiting or running:
                while waiting and len(running) < parallel:
                    job = waiting.pop(0)
                    running[job] = _start(job, parallel, logs)
                time.sleep(POLL_SECONDS)
                for job in [j for j, p in running.items() if p.poll() is not None]:
                    status = running.pop(job).returncode
                    if status:
                        where = "above" if parallel == 1 else f"in {_log(job)}"
                        raise RuntimeError(
                            f"{job.name}: run.py ended with status {status}, see "
                            f"{where}. The same command goes on from there."
                        )
                    print(f"{job.name}: finished", flush=True)
        finally:
            for process in running.values():
                process.terminate()
            for process in running.values():
                process.wait()


def _start(job, parallel, logs):
    print(f"{job.name}: {shlex.join(job.command())}", flush=True)
    if parallel == 1:
        return subprocess.Popen(job.command())
    job.folder.mkdir(parents=True, exist_ok=True)
    log = logs.enter_context(open(_log(job), "a"))
    environment = {**os.environ, **ONE_THREAD}
    return subprocess.Popen(
        job.command(), env=environment, stdout=log, stderr=subprocess.STDOUT
    )


def _log(job):
    return job.folder / "output.log"


def parser_and_parts(description, arguments):
    """A parser, the arguments that are its own, and those after "--", run.py's."""
    own, rest = list(arguments), []
    if "--" in own:
        index = own.index("--")
        own, rest = own[:index], own[index + 1 :]
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser, own, rest


def parse(arguments):
    """(arguments, flags for run.py) of a command line."""
    parser, own, rest = parser_and_parts(__doc__, arguments)
    parser.add_argument("--flagfile", help="recipe, as run.py takes it")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to SEEDS - 1")
    parser.add_argument("--runs", type=pathlib.Path, required=True, help="their folder")
    parser.add_argument("--json", type=pathlib.Path, required=True, help="written file")
    parser.add_argument("--parallel", type=int, default=1, help="runs at once")
    parser.add_argument("--variant", type=parse_variant, action="append", default=[])
    args = parser.parse_args(own)
    if args.seeds < 1 or args.parallel < 1:
        parser.error("--seeds and --parallel: expected 1 at least")
    if len(dict(args.variant)) < len(args.variant):
        parser.error("--variant: expected another name for each")
    recipe = [f"--flagfile={args.flagfile}"] if args.flagfile else []
    return args, [*recipe, *rest]


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    args, flags = parse(arguments)
    # As Ctrl-C does: the runs end with this program.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    variants = dict(args.variant)
    try:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        jobs = plan(range(args.seeds), args.runs, flags, variants)
        every = [job for of_variant in jobs.values() for job in of_variant]
        execute([job for job in every if not job.is_finished()], args.parallel)
    except (ValueError, RuntimeError, OSError, absl_flags.Error) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on where this one stopped.")
    runs = {
        name: [(job.folder, job.results()) for job in of_variant]
        for name, of_variant in jobs.items()
    }
    record = seeds_summary.summarise(runs, list(range(args.seeds)), variants)
    record["parallel"] = args.parallel
    record["command"] = f"python -m tools.seeds {shlex.join(arguments)}"
    files.write_json(args.json, record)
    print(f"\n{seeds_summary.table(record)}\nWritten to {args.json}")


if __name__ == "__main__":
    main()
