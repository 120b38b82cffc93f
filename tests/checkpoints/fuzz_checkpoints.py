"""Damages checkpoints in thousands of ways and loads them.

    python tests/checkpoints/fuzz_checkpoints.py --cases 2000 --seed 0

Each case damages a copy of a small TF1 checkpoint (or a zip or a `.keras` file of it):
truncation, flipped bytes, fields of the index changed UNDER RIGHT CHECKSUMS (which
TensorFlow's own reader answers by ending the process), foreign tensors, wrong types,
NaN, links, folders. It passes if the loader
- raises CheckpointError, FileNotFoundError or ValueError with the file's name in it,
  and leaves the caller's model as it was; or
- loads exactly the weights of the undamaged checkpoint (damage in what is not read);
within MAX_SECONDS and MAX_MEBIBYTES of more memory. Cases run in a child process: one
that dies or hangs is a failure with its case number, and the run goes on.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

from checkpoint_damage import MUTATIONS

MAX_SECONDS = 10.0
MAX_MEBIBYTES = 300.0
MAX_CRASHES = 20


def main():
    options = _parse_arguments()
    with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
        log = pathlib.Path(folder) / "log.jsonl"
        log.touch()
        first, crashes, start = 0, [], time.time()
        while first < options.cases and len(crashes) < MAX_CRASHES:
            returncode = _run_child(options, first, log, folder)
            done = _done(log)
            first = done[-1]["case"] + 1 if done else first
            if returncode and first < options.cases:
                crashes.append({"case": first, "died": returncode})
                first += 1
        results = _done(log)
    failures = crashes + [r for r in results if r["failure"]]
    report = {
        "cases": len(results) + len(crashes),
        "outcomes": dict(collections.Counter(r["outcome"] for r in results)),
        "mutations": dict(collections.Counter(r["mutation"] for r in results)),
        "slowest_seconds": max((r["seconds"] for r in results), default=0),
        "most_mebibytes": max((r["mebibytes"] for r in results), default=0),
        "total_seconds": round(time.time() - start, 1),
        "failures": failures[:20],
    }
    print(json.dumps(report, indent=1))
    return 1 if failures else 0


def _parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=3, metavar=("FIRST", "LOG", "FOLDER"))
    options = parser.parse_args()
    if options.child:
        first, log, folder = options.child
        run_cases(options, int(first), log, pathlib.Path(folder))
        sys.exit(0)
    return options


def _run_child(options, first, log, folder):
    """Runs cases from `first` on in a child; kills it when it stands still."""
    repository = pathlib.Path(__file__).resolve().parents[2]
    environment = os.environ | {
        "PYTHONPATH": str(repository),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    command = [sys.executable, __file__, "--cases", str(options.cases)]
    command += ["--seed", str(options.seed), "--child", str(first), str(log), folder]
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    last_size, last_change = -1, time.time()
    while child.poll() is None:
        time.sleep(0.05)
        if log.stat().st_size != last_size:
            last_size, last_change = log.stat().st_size, time.time()
        elif time.time() - last_change > 60 + MAX_SECONDS:
            child.kill()
    return child.wait()


def _done(log):
    return [json.loads(line) for line in log.read_text().splitlines()]


def run_cases(options, first, log, folder):
    """The child: cases `first` ... `options.cases - 1`, one JSON line each."""
    from small_checkpoints import small_net

    from igam_tf import checkpoints

    original = folder / "original"
    shutil.rmtree(original, ignore_errors=True)
    model = small_net()
    # With slots: damage in what the loader does not need must not hurt either.
    checkpoints.save_tf1(model, original / "tf1", step=7, momentum_slots=True)
    with zipfile.ZipFile(original / "net.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((original / "tf1").iterdir()):
            archive.write(path, f"models/{path.name}")
    model.save(original / "net.keras")
    callers = small_net(depth=8)
    for weight in callers.weights:
        weight.assign(weight * 0 + 3)
    trial = Trial(checkpoints, model, callers)
    trial.run(original / "tf1")  # Everything imported and allocated once.
    base = _peak_mebibytes()
    with open(log, "a") as file:
        for case in range(first, options.cases):
            chance = random.Random(options.seed * 1_000_003 + case)
            result = _run_case(case, chance, trial, original, folder / "damaged")
            result["mebibytes"] = round(_peak_mebibytes() - base, 1)
            if result["mebibytes"] > MAX_MEBIBYTES and not result["failure"]:
                result["failure"] = "memory"
            file.write(json.dumps(result) + "\n")
            file.flush()


def _run_case(case, chance, trial, original, damaged):
    shutil.rmtree(damaged, ignore_errors=True)
    shutil.copytree(original / "tf1", damaged)
    mutation = chance.choice(MUTATIONS)
    path = mutation(chance, damaged, original) or damaged
    start = time.time()
    outcome, failure = trial.run(path)
    seconds = round(time.time() - start, 2)
    if seconds > MAX_SECONDS and not failure:
        failure = "slow"
    return {
        "case": case,
        "mutation": mutation.__name__.strip("_"),
        "outcome": outcome,
        "failure": failure,
        "seconds": seconds,
    }


class Trial:
    """Loads a path by every function and judges what happens."""

    def __init__(self, checkpoints, model, callers):
        import numpy as np

        self._np, self._checkpoints, self._callers = np, checkpoints, callers
        self._right = [weight.numpy() for weight in model.weights]
        self._before = [weight.numpy() for weight in callers.weights]

    def run(self, path):
        """(outcome, failure or None)"""
        attempts = [self._describe, self._load, self._load_weights]
        if path.suffix == ".keras":
            attempts = [self._load]
        outcomes = [self._attempt(attempt, path) for attempt in attempts]
        failures = [failure for _, failure in outcomes if failure]
        return outcomes[-1][0], (failures[0] if failures else None)

    def _attempt(self, attempt, path):
        try:
            loaded = attempt(path)
        except (ValueError, FileNotFoundError) as error:
            if path.name not in str(error) and "checkpoint-7" not in str(error):
                return "error", f"message without the file: {error}"[:300]
            if not self._equal(self._callers.weights, self._before):
                return "error", "the caller's model was changed"
            return type(error).__name__, None
        except Exception as error:
            return "error", f"{attempt.__name__}: {type(error).__name__}: {error}"[:300]
        if loaded is None:
            return "described", None
        right = self._equal(loaded.weights, self._right)
        for weight, before in zip(self._callers.weights, self._before):
            weight.assign(before)
        return "loaded", None if right else "wrong weights were loaded"

    def _describe(self, path):
        str(self._checkpoints.describe(path))

    def _load(self, path):
        return self._checkpoints.load(path)

    def _load_weights(self, path):
        self._checkpoints.load_weights(self._callers, path)
        return self._callers

    def _equal(self, weights, values):
        return all(self._np.array_equal(w.numpy(), v) for w, v in zip(weights, values))


def _peak_mebibytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
