"""What the benchmarks of speed share: alternating series and their tables.

Needs the standard library only, so that a worker may run where TensorFlow is not.
"""

import argparse
import dataclasses
import os
import pathlib
import statistics
import sys
import time

from benchmarks.processor import processor
from tools.tables import print_table

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Seconds of one run: on the clock, and of the processor (all threads)."""

    wall: float
    cpu: float

    def __truediv__(self, number):
        return Sample(self.wall / number, self.cpu / number)


@dataclasses.dataclass
class Series:
    """The samples of one case, one a round."""

    samples: list

    def median(self, clock="wall"):
        return statistics.median(getattr(s, clock) for s in self.samples)

    def ratio(self, other, clock="wall"):
        """Median over the rounds of this case's seconds over the other's."""
        pairs = zip(self.samples, other.samples, strict=True)
        return statistics.median(
            getattr(a, clock) / getattr(b, clock) for a, b in pairs
        )

    def cells(self, *references):
        """Columns of a table: seconds, then wall and CPU ratio to each reference."""
        values = [s.wall for s in self.samples]
        cells = [f"{self.median():.3f}", f"{min(values):.3f}", f"{max(values):.3f}"]
        cells.append(f"{self.median('cpu'):.3f}")
        for reference in references:
            cells += [f"{self.ratio(reference, c):.2f}" for c in ("wall", "cpu")]
        return cells


def columns(*references):
    """Names of the columns of `Series.cells`."""
    names = ["median s", "min s", "max s", "CPU s"]
    for reference in references:
        names += [f"/ {reference}", f"CPU / {reference}"]
    return names


def once(function):
    """One `Sample` of a function without arguments; its own, if it returns one."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    sample = Sample(time.perf_counter() - wall, time.process_time() - cpu)
    return result if isinstance(result, Sample) else sample


def alternate(cases, rounds, *, per=1):
    """Runs all cases in turn, round after round.

    Args:
        cases: dict of name -> function without arguments. It returns when its work is
            done; a `Sample` that it returns is taken as its time.
        rounds: number of rounds that count; one more comes first, to trace and compile.
        per: steps in one call of a case, by which its seconds are divided; a number, or
            a dict by name.

    Returns:
        dict of name -> `Series`.
    """
    series = {name: Series([]) for name in cases}
    per = per if isinstance(per, dict) else dict.fromkeys(cases, per)
    for index in range(rounds + 1):
        for name, function in cases.items():
            sample = once(function) / per[name]
            if index:
                series[name].samples.append(sample)
            elif os.environ.get("BENCHMARK_VERBOSE"):
                print(f"{name}: first round {sample}", file=sys.stderr, flush=True)
    return series


def print_series(series, *references):
    """The table of some series, with their ratios to those named as references."""
    header = ["", *columns(*references)]
    against = [series[name] for name in references]
    print_table(header, [[n, *s.cells(*against)] for n, s in series.items()])


def print_setting(args, **more):
    """One line that says what was measured, and under which load."""
    values = {**{k: v for k, v in vars(args).items() if v is not None}, **more}
    text = ", ".join(f"{k}={v}" for k, v in values.items())
    load = os.getloadavg()[0]
    machine = f"{processor()}, {os.cpu_count()} cores"
    print(f"{text}; {machine}, load {load:.1f} at the start\n", flush=True)


def parser(description, *, depth=14, width=4, batch_size=32, rounds=5):
    """Arguments that most benchmarks take."""
    new = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    new.add_argument("--depth", type=int, default=depth)
    new.add_argument("--width", type=int, default=width)
    new.add_argument("--batch_size", type=int, default=batch_size)
    new.add_argument("--rounds", type=int, default=rounds)
    return new
