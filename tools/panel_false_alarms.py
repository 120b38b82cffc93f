"""How often the masking panel warns of honest networks, and whether it misses any mask.

    python -m tools.panel_false_alarms --data_dir=DIR --cache=FOLDER
    python -m tools.panel_false_alarms --cache=FOLDER --decide   # seconds

Trains some 40 honest networks (`panel_networks`), attacks 100 to 500 images of each as
the panel does, with three seeds, and keeps in FOLDER what each attack did to each
image: killed, the same command goes on. About 15 minutes on two CPU cores. Then all
checks look at disjoint portions of 50, of 100 and of 200 of the images and at all, and
at the failures of the tests. `--decide` does the last part alone, after a change of the
checks' decisions.

Networks whose training failed are shown, and no part of the rates.

The networks are split in two halves. Decisions were chosen on the first; the second,
looked at once they stood, verifies them. Looks at one network are not independent: the
networks that warn are counted as well.
"""

import argparse
import collections
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from scipy.stats import beta

from igam_tf import files
from igam_tf.evaluation.masking import PANEL_VERSION
from tools import panel_networks
from tools.panel_recording import CHECKS, record, replayed
from tools.panel_table import HALVES, table

SEEDS = (0, 1, 2)
SIZES = (50, 100, 200)
# Twice the chance of ten classes: below, training failed, and the network is none.
LEARNED = 0.2
OUT = panel_networks.REPOSITORY / "results" / "panel_false_alarms.json"


def upper_bound(count, total, level=0.95):
    """One-sided Clopper-Pearson bound of a rate."""
    return 1.0 if count >= total else float(beta.ppf(level, count + 1, total - count))


def portions(count):
    """Slices of disjoint portions of each size, and of all images."""
    found = [
        slice(start, start + size)
        for size in SIZES
        if size < count
        for start in range(0, count - size + 1, size)
    ]
    return [*found, slice(0, count)]


def record_honest(args):
    """Trains and records what is not in the cache yet."""
    source, data, make = {}, {}, panel_networks.Maker()
    for net in panel_networks.networks(args.networks):
        stem = args.cache / _file_name(net.name)
        todo = [s for s in SEEDS if not stem.with_name(f"{stem.name}_{s}.npz").exists()]
        if not todo or net.data not in args.only:
            continue
        if time.time() > args.stop:
            return False
        if net.data not in data:
            data[net.data] = panel_networks.arrays(net.data, args.data_dir)
        start, cpu = time.time(), time.process_time()
        train, (images, labels) = data[net.data]
        model = make(net, train)
        model.save(stem.with_suffix(".keras"))
        # The costliest to record: on the smallest images alone, from the first network.
        other = source.get(net.data)
        if net.data == "digits" and other is None:
            first = args.cache / _file_name(panel_networks.SOURCE.name)
            if first.with_suffix(".keras").exists():
                other = keras.models.load_model(
                    first.with_suffix(".keras"), compile=False
                )
                source[net.data] = other
        images, labels = images[: net.num_examples], labels[: net.num_examples]
        for seed in todo:
            found = record(
                model, images, labels, eps=net.eps, seed=seed,
                batch_size=panel_networks.BATCH, source=other if seed == 0 else None,
            )  # fmt: skip
            _save(stem.with_name(f"{stem.name}_{seed}.npz"), found)
        spent = f"{time.time() - start:.0f} s, CPU {time.process_time() - cpu:.0f} s"
        right = found["is_correct"].mean()
        print(f"{net.name}: {right:.0%} right when clean, {spent}", flush=True)
    return True


def record_failures(args):
    """The same for the failures of the tests, with SPSA."""
    from tools.panel_failures import failures

    for name, (make, eps, images, labels, _) in failures().items():
        path = args.cache / f"failure_{name}.npz"
        if path.exists():
            continue
        if time.time() > args.stop:
            return False
        start = time.time()
        found = record(
            make(), images, labels, eps=eps, seed=0, batch_size=128, spsa=True
        )
        _save(path, found)
        print(f"{name}: {time.time() - start:.0f} s", flush=True)
    return True


def decide(args):
    """All looks at all that is recorded; writes the result."""
    looks, rows = {half: collections.Counter() for half in HALVES}, []
    for number, net in enumerate(panel_networks.networks(args.networks)):
        if not _file(args, net, SEEDS[-1]).exists():
            continue
        half = HALVES[0 if net.known else number % 2]
        warned, total = collections.Counter(), 0
        has_learned = _load(_file(args, net, SEEDS[0]))["is_correct"].mean() > LEARNED
        for seed in SEEDS:
            recording = _load(_file(args, net, seed))
            for rows_of in portions(len(recording["is_correct"])):
                found = replayed(recording, rows_of)
                names = [name for name, check in found.items() if _warns(check)]
                warned.update(names)
                total += 1
                if has_learned:
                    looks[half].update(f"look {name}" for name in found)
                    looks[half].update(f"warn {name}" for name in names)
                    looks[half].update({"looks": 1, "any": bool(names)})
                if args.verbose and names:
                    said = [f"{name}: {found[name].values}" for name in names]
                    print(f"{net.name}, seed {seed}, {rows_of}: {said}")
        rows.append(
            {
                "name": net.name,
                "half": half,
                "has_learned": bool(has_learned),
                "num_examples": len(recording["is_correct"]),
                "clean": round(float(recording["is_correct"].mean()), 3),
                "pgd20": _pgd20(recording),
                "looks": total,
                "warns": dict(warned),
            }
        )
    return {
        "panel_version": PANEL_VERSION,
        "honest": rows,
        "rates": {half: _rates(looks[half], rows, half) for half in HALVES},
        "failures": _failures(args),
    }


def _rates(looks, rows, half):
    """Counts and bounds of each check, and of any of them."""
    mine = [row for row in rows if row["half"] == half and row["has_learned"]]
    found = {}
    for name in [*CHECKS, "any"]:
        total = looks["looks"] if name == "any" else looks[f"look {name}"]
        count = looks["any"] if name == "any" else looks[f"warn {name}"]
        if total:
            networks = sum(
                bool(r["warns"]) if name == "any" else name in r["warns"] for r in mine
            )
            found[name] = {
                "looks": total,
                "warns": count,
                "upper_bound_95": round(upper_bound(count, total), 5),
                "networks": len(mine),
                "networks_that_warn": networks,
            }
    return found


def _failures(args):
    from tools.panel_failures import failures

    found = {}
    for name, (_, _, _, labels, meant) in failures().items():
        path = args.cache / f"failure_{name}.npz"
        if not path.exists():
            continue
        checks = replayed(_load(path), slice(0, len(labels)))
        warns = [check for check, said in checks.items() if _warns(said)]
        found[name] = {
            "warns": warns,
            "meant": sorted(meant),
            "found": bool(meant & set(warns)),
        }
    return found


def _pgd20(recording):
    key = next(k for k in recording if "num_steps=20," in k and "cross_entropy" in k)
    return round(float(recording[key].mean()), 3)


def _warns(check):
    return check if isinstance(check, bool) else check.warns


def _file(args, net, seed):
    return args.cache / f"{_file_name(net.name)}_{seed}.npz"


def _file_name(name):
    return "".join(c if c.isalnum() else "_" for c in name)


def _save(path, arrays):
    # Under another name first: a killed run leaves no half file.
    partial = path.with_name(f"partial_{path.name}")
    np.savez_compressed(partial, **arrays)
    partial.rename(path)


def _load(path):
    with np.load(path) as file:
        return dict(file)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--data_dir", help="TFDS-prepared MNIST and CIFAR-10")
    parser.add_argument("--networks", help="folder with networks of other people")
    parser.add_argument(
        "--only", nargs="*", default=list(panel_networks.NUM_TEST), help="data sets"
    )
    parser.add_argument("--decide", action="store_true", help="attack nothing")
    parser.add_argument("--seconds", type=float, help="stop recording after so long")
    parser.add_argument("--verbose", action="store_true", help="show false alarms")
    parser.add_argument("--out", type=pathlib.Path, default=OUT)
    args = parser.parse_args()
    args.stop = time.time() + (args.seconds or 1e9)
    args.cache.mkdir(parents=True, exist_ok=True)
    if not args.decide and not (record_honest(args) and record_failures(args)):
        print("stopped: the same command goes on")
        return
    result = decide(args)
    files.write_json(args.out, result)
    print(table(result))


if __name__ == "__main__":
    main()
