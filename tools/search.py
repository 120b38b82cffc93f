"""A search over settings of one row, on training images that are held out.

    python -m tools.search --runs=runs/search --json=results/search.json --tries=8 \\
        --grid matching_distance=cosine,normalized_l2 \\
        --grid difference_weight=0.1,1,10 --grid input_gradient_of=loss,probability \\
        -- --source=cifar10 --target=cifar100 --size=small --methods=igam \\
        --difference_reduction=mean --attacks=clean,pgd20

What follows " -- " goes to run.py as it stands. Tries are the combinations of all
--grid, and before them sets of flags of one's own:

    ... --variant recipe= --variant GELU=--activation=gelu,--difference_weight=3

Of more than --tries combinations that many are drawn, by --seed, without replacement
(random search, Bergstra & Bengio 2012). Each try is an ordinary run in RUNS/try-HASH:
finished ones are read and not repeated, and when killed, the same command goes on. What
an earlier try has finished with the same settings, such as the teacher, is linked.

Every try trains without a part of the training images of the target
(--held_out_fraction, here 0.1 by default), and is evaluated on that part: the test set
is not used, so that what is chosen can be reported on it. Chosen is the try that is
best by --choose: an attack (by default AutoAttack, else PGD of the most steps), or
"transfer", the row minus the best of its controls, for runs with --controls. Tries that
the masking panel warns of, and those below --clean_at_least percent, are not chosen.

Writes the JSON file, and beside it the table as Markdown, after every try.
"""

import argparse
import hashlib
import itertools
import pathlib
import random
import re
import shlex
import signal
import sys

from absl import flags as absl_flags

from igam_tf import files
from igam_tf.cli import importing, recipes
from igam_tf.experiment.experiment import Experiment
from igam_tf.experiment.sharing import share_finished
from tools import search_table, seeds

HELD_OUT = 0.1
TRIES = 20
#: Flags that this program sets, or that a try cannot have.
_OWN = re.compile(r"--?(no)?(seed|run_dir|held_out_fraction|dry_run)\b")


def combinations(grids):
    """The flags of all combinations of a grid.

    Args:
        grids: dict from flag to list of texts; may be empty.

    Returns:
        List of tuples of flags, in the order of the grids; [] of an empty dict.
    """
    if not grids:
        return []
    named = [[f"--{name}={v}" for v in values] for name, values in grids.items()]
    return list(itertools.product(*named))


def drawn(possible, count, seed):
    """As many of the possible tries, by a seed; all of them, in order, if there are no
    more."""
    if len(possible) <= count:
        return list(possible)
    return random.Random(seed).sample(possible, count)


def plan(args, flags):
    """The tries of a search, checked.

    Args:
        args: arguments of this program.
        flags: list of flags that all tries have in common.

    Returns:
        List of `seeds.Job`, one a try: the flags of its own are the last ones, and its
        name.

    Raises:
        ValueError: if a flag sets what this program sets, or is wrong; before any run.
        absl.flags.Error: if a flag is unknown.
    """
    grid = combinations(dict(args.grid))
    variants = [extra for _, extra in args.variant]
    labels = {extra: f"{name}: " for name, extra in reversed(args.variant)}
    budget = max(0, args.tries - len(variants))
    tries = [*variants, *drawn(grid, budget, args.seed)][: args.tries]
    jobs = []
    for own in dict.fromkeys(tries):
        for flag in (*flags, *own):
            if _OWN.match(flag):
                raise ValueError(
                    f"{flag}: it is set here; pass --seed, --runs or "
                    "--held_out_fraction before the ' -- '."
                )
        name = labels.get(own, "") + (shlex.join(own) or "as given")
        every = (*flags, *own, f"--held_out_fraction={args.held_out_fraction:g}")
        jobs.append(seeds.Job(name, args.seed, _folder(args.runs, own), every))
        _check(experiment_of(jobs[-1]), args)
    return jobs


def experiment_of(job):
    """The `Experiment` of a try."""
    found, _ = recipes.parse(
        [*job.flags, f"--seed={job.seed}", f"--run_dir={job.folder}"]
    )
    return found


def _folder(runs, own):
    """One folder for one set of flags, in whatever order and search."""
    digest = hashlib.sha256("\n".join(sorted(own)).encode()).hexdigest()
    return runs / f"try-{digest[:8]}"


def _check(experiment, args):
    row, by = args.row, args.choose
    if not isinstance(experiment, Experiment):
        raise ValueError(
            "a table of several recipes cannot be searched: expected the flags of one "
            "run, such as --source=... --target=... or the --flagfile of a recipe."
        )
    if row not in experiment.rows:
        raise ValueError(
            f"--row={row}: the runs have the rows {experiment.rows}; name one of them, "
            "or pass --methods after the ' -- '."
        )
    if by == search_table.TRANSFER and not experiment.table.controls:
        raise ValueError(
            "--choose=transfer without controls: pass --controls after the ' -- '."
        )
    attacks = experiment.evaluation.attacks
    if by not in ("", search_table.TRANSFER, *attacks):
        raise ValueError(
            f"--choose={by}: expected transfer or an attack of the runs, {attacks}."
        )


def execute(jobs, run, say):
    """Runs the tries one after the other; one that fails does not end the search.

    Args:
        jobs: list of `seeds.Job`.
        run: function of a job that runs it, and raises RuntimeError if it fails.
        say: function of the tries so far: list of (job, results or None, error or "").

    Returns:
        What `say` got last.
    """
    done = []
    for number, job in enumerate(jobs, 1):
        error = ""
        if not job.is_finished():
            print(f"Try {number} of {len(jobs)}", flush=True)
            share_finished(experiment_of(job))
            try:
                run(job)
            except RuntimeError as failed:
                error = str(failed)
        done.append((job, None if error else checked(job), error))
        say(done)
    return done


def checked(job):
    """The results of a finished try.

    Raises:
        ValueError: if they are of test images, on which nothing may be chosen.
    """
    results = job.results()
    for name, row in results["rows"].items():
        if not row["evaluation"].get("held_out_fraction"):
            raise ValueError(
                f"{job.folder}: the row {name!r} was evaluated on test images, on "
                "which nothing may be chosen; pass another --runs."
            )
    return results


def parse(arguments):
    """(arguments, flags for run.py) of a command line."""
    parser, own, rest = seeds.parser_and_parts(__doc__, arguments)
    add = parser.add_argument
    add("--runs", type=pathlib.Path, required=True, help="folder of the run folders")
    add("--json", type=pathlib.Path, required=True, help="written file")
    add("--grid", type=_grid, action="append", default=[], metavar="FLAG=A,B,C")
    add("--variant", type=seeds.parse_variant, action="append", default=[],
        metavar="NAME=--flag=value,--flag=value")  # fmt: skip
    add("--tries", type=int, default=TRIES, help=f"at most; {TRIES} by default")
    add("--row", default="igam", help="what is searched for; igam by default")
    add("--choose", default="", help='an attack, or "transfer"')
    add("--clean_at_least", type=float, default=0.0, metavar="PERCENT")
    add("--held_out_fraction", type=float, default=HELD_OUT)
    add("--seed", type=int, default=0, help="of the runs, and of what is drawn")
    args = parser.parse_args(own)
    if args.tries < 1 or not 0 < args.held_out_fraction < 1:
        parser.error("--tries: expected 1 at least; --held_out_fraction: a fraction")
    if len(dict(args.grid)) < len(args.grid):
        parser.error("--grid: expected each flag once")
    if not args.grid and not args.variant:
        parser.error("nothing to try: expected --grid or --variant")
    return args, rest


def _grid(text):
    """(flag, list of values) of "flag=a,b,c"."""
    form = re.fullmatch(r"(?:--)?(\w+)=([^,]+(?:,[^,]+)*)", text)
    if form is None:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FLAG=VALUE,VALUE")
    return form[1], form[2].split(",")


def main(arguments=None):
    arguments = sys.argv[1:] if arguments is None else arguments
    args, flags = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        importing.import_files(importing.named(flags))
        jobs = plan(args, flags)
        args.json.parent.mkdir(parents=True, exist_ok=True)

        def say(done):
            record = search_table.summarise(done, args, flags, len(jobs))
            files.write_json(args.json, record)
            table = search_table.table(record)
            files.write_text(args.json.with_suffix(".md"), table)
            return record

        execute(jobs, lambda job: seeds.execute([job], 1), say)
    except (ValueError, OSError, absl_flags.Error) as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The same command goes on where this one stopped.")
    print(f"\n{args.json.with_suffix('.md').read_text()}\nWritten to {args.json}")


if __name__ == "__main__":
    main()
