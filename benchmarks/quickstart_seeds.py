"""The quickstart over several seeds: mean and spread of its table.

    python -m benchmarks.quickstart_seeds --seeds=5 --runs=runs/quickstart

One run folder a seed; finished ones are read, not repeated. Writes
results/quickstart_seeds.json.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def run(seed, folder):
    """Results of one seed."""
    command = [
        sys.executable,
        str(REPOSITORY / "run.py"),
        f"--flagfile={REPOSITORY / 'flags' / 'quickstart.cfg'}",
        f"--seed={seed}",
        f"--run_dir={folder}",
    ]
    if not (folder / "results.json").exists():
        subprocess.run(command, check=True)
    return json.loads((folder / "results.json").read_text())


def summary(results):
    """Row -> attack -> mean, standard deviation and values in percent."""
    table = {}
    for row in results[0]["rows"]:
        attacks = [r["rows"][row]["evaluation"]["attacks"] for r in results]
        table[row] = {}
        for attack in attacks[0]:
            values = [round(100 * a[attack]["accuracy"], 2) for a in attacks]
            table[row][attack] = {
                "mean": round(statistics.mean(values), 2),
                "standard_deviation": round(statistics.stdev(values), 2),
                "values": values,
            }
    return table


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--runs", type=pathlib.Path, default=pathlib.Path("runs/quickstart"))
    args = parser.parse_args()
    results = [run(s, args.runs / f"seed-{s}") for s in range(args.seeds)]
    table = summary(results)
    attacks = list(next(iter(table.values())))
    print(f"| mean ± s.d. of {args.seeds} seeds | " + " | ".join(attacks) + " |")
    print("| --- |" + " ---: |" * len(attacks))
    for row, cells in table.items():
        label = results[0]["rows"][row]["label"]
        shown = [
            f"{cells[a]['mean']:.1f} ± {cells[a]['standard_deviation']:.1f}" for a in attacks
        ]
        print(f"| {label} | " + " | ".join(shown) + " |")
    kept = ("settings", "versions", "machine", "git_revision")
    record = {"rows": table, **{name: results[0].get(name) for name in kept}}
    path = REPOSITORY / "results" / "quickstart_seeds.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
