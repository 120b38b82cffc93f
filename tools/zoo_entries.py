"""Writes igam_tf/zoo/networks/entries.json from results/*.json.

    python -m tools.zoo_entries            # writes it
    python -m tools.zoo_entries --check    # exits with 1 if it is stale

The networks that travel with the package are those of `results/zoo.json`, measured by
`igam-tf evaluate`; the others are the rows of recorded tables that AutoAttack was run
on.
"""

import argparse
import hashlib
import json
import pathlib
import sys

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
NETWORKS = REPOSITORY / "igam_tf" / "zoo" / "networks"
SHIPPED = "results/zoo.json"
TABLES = ("table1", "table2", "table3", "figure5")
_RUN = "python run.py --flagfile=flags/{}.cfg"


def entries(root: pathlib.Path = REPOSITORY) -> list[dict]:
    """Entries as they should be, ready for JSON.

    Args:
        root: folder with results/, and igam_tf/zoo/networks/.
    """
    found = {}
    for name, row in _read(root / SHIPPED)["rows"].items():
        path = root / "igam_tf" / "zoo" / "networks" / row["file"]
        found[name] = {
            "name": name,
            **_described(row, row["dataset"], row["evaluation"], row["evaluation"]),
            "file": row["file"],
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "num_parameters": row["num_parameters"],
            "rebuild": row["rebuild"],
            "student": row["student"],
            "results": SHIPPED,
        }
    for table in TABLES:
        for entry in _of_table(root, table):
            # The same network in two tables has one entry.
            found.setdefault(entry["name"], entry)
    return list(found.values())


def _of_table(root, table):
    file = f"results/{table}_small.json"
    results = _read(root / file)
    attacked = _read(root / f"results/{table}_small_autoattack.json")
    dataset = results["settings"]["target"]
    for row, described in results["rows"].items():
        evaluations = (described["evaluation"], attacked["rows"][row]["evaluation"])
        yield {
            "name": f"{dataset}_{row.replace('-', '_')}",
            **_described(described, dataset, *evaluations),
            "file": "",
            "sha256": "",
            "num_parameters": None,
            "rebuild": _RUN.format(table) + " --size=small --data_dir=DIR",
            "student": f"runs/{table}-small/{described['student']}",
            "results": file,
        }


def _described(row, dataset, evaluation, attacked):
    autoattack = attacked["attacks"]["autoattack"]
    return {
        "dataset": dataset,
        "label": row["label"],
        "method": row["method"],
        "threat_model": evaluation["threat_model"],
        "eps": evaluation["eps"],
        "num_examples": evaluation["num_examples"],
        "clean": _percent(evaluation["attacks"]["clean"]),
        "autoattack": _percent(autoattack),
        "autoattack_examples": attacked["num_examples"],
        "autoattack_clean": _percent(attacked["attacks"]["clean"]),
        "autoattack_seconds": autoattack["seconds"],
        "forward_passes": sum(autoattack["forward_passes"].values()),
        "backward_passes": sum(autoattack["backward_passes"].values()),
    }


def _percent(entry):
    return round(100 * entry["accuracy"], 2)


def _read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the file; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(arguments)
    path = NETWORKS / "entries.json"
    text = json.dumps(entries(), indent=1) + "\n"
    if options.check:
        stale = not path.exists() or path.read_text(encoding="utf-8") != text
        print(f"{path.name}: {'stale' if stale else 'as its results'}")
        return int(stale)
    path.write_text(text, encoding="utf-8")
    print(f"{path}: {len(entries())} networks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
