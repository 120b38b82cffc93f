"""Attacks against the best known point of each image: AttackBench's optimality.

    python -m benchmarks.parity.optimality --case=NAME,model.keras,images.npz

Each attack looks for the smallest perturbation of the same images; the best of all of
them is what each is held against. The images are those of `autoattack_models.py`. PGD
and the parts of AutoAttack know an eps: PGD is bisected (Linf and L2 only). Results are
added to the JSON file, a case that is there already is replaced.
"""

import argparse
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from benchmarks.parity.autoattack_reference import save
from igam_tf import attacks, evaluation

NORMS = ("linf", "l2", "l1")
# Only the random starts of FAB, of which the first run has none, would need it.
_ANY_EPS = 0.1
BISECTIONS, PGD_STEPS = 12, 20


def searches(norm):
    """Dict from name to an attack that has `nearest`."""
    found = {
        "FMN": attacks.FMN(eps=_ANY_EPS, norm=norm),
        "FMN, 1,000 steps": attacks.FMN(eps=_ANY_EPS, norm=norm, num_steps=1000),
        "FAB-T": attacks.FAB(eps=_ANY_EPS, norm=norm),
        "FAB": attacks.FAB(eps=_ANY_EPS, norm=norm, num_targets=0),
    }
    if norm == "l2":
        found["DDN"] = attacks.DDN(eps=_ANY_EPS)
        found["DDN, 1,000 steps"] = attacks.DDN(eps=_ANY_EPS, num_steps=1000)
    return found


def measure(model, images, labels, norm):
    """Dict from attack to distances (n,), passes of an image, and seconds."""
    found = {}
    for name, attack in searches(norm).items():
        start = time.perf_counter()
        _, distances = attack.nearest(model, images, labels)
        passes = attack.for_classes(model.output_shape[-1]).image_passes()
        found[name] = distances, list(passes), time.perf_counter() - start
        print(f"{norm} {name}: {found[name][2]:.0f} s", flush=True)
    if norm != "l1":
        start = time.perf_counter()
        distances = evaluation.measured_robustness(
            model,
            images,
            labels,
            norm=norm,
            num_steps=PGD_STEPS,
            num_bisections=BISECTIONS,
        )
        passes = [BISECTIONS * (PGD_STEPS + 1), BISECTIONS * PGD_STEPS]
        seconds = time.perf_counter() - start
        found[f"PGD-{PGD_STEPS}, bisected"] = distances, passes, seconds
    return found


def compared(found):
    """Rows of a table, the best attack first, and the median of the best distances."""
    best = evaluation.best_distances({name: part[0] for name, part in found.items()})
    rows = [
        {
            "attack": name,
            "optimality": round(evaluation.optimality(distances, best), 4),
            "median_distance": _median(distances),
            "num_best": int((distances[best > 0] <= 1.001 * best[best > 0]).sum()),
            "num_found": int(np.isfinite(distances[best > 0]).sum()),
            "passes_an_image": passes,
            "seconds": round(seconds, 1),
        }
        for name, (distances, passes, seconds) in found.items()
    ]
    rows.sort(key=lambda row: -row["optimality"])
    return {
        "num_correct": int((best > 0).sum()),
        "median_of_best": _median(best),
        "rows": rows,
    }


def _median(distances):
    median = float(np.median(distances[distances > 0]))
    return round(median, 5) if np.isfinite(median) else None


def table(name, norm, result):
    """One case as Markdown."""
    lines = [
        f"{name}, {norm}, {result['num_correct']} images that are right when clean; "
        f"median of the best distances {result['median_of_best']}",
        "",
        "| attack | optimality | median distance | best or within 0.1 % | passes |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {row['attack']} | {row['optimality']:.3f} | {row['median_distance']} "
        f"| {row['num_best']} | {' + '.join(map(str, row['passes_an_image']))} |"
        for row in result["rows"]
    ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", required=True, metavar="NAME,MODEL,IMAGES",
        help="may be given several times",
    )  # fmt: skip
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=NORMS)
    parser.add_argument("--num_images", type=int, default=100)
    parser.add_argument("--out", default="results/optimality.json")
    args = parser.parse_args()
    for case in args.case:
        name, model_path, data_path = case.split(",")
        model = keras.saving.load_model(model_path, compile=False)
        data = np.load(data_path)
        images, labels = (data[key][: args.num_images] for key in ("images", "labels"))
        for norm in args.norms:
            result = compared(measure(model, images, labels, norm))
            print(f"\n{table(name, norm, result)}\n", flush=True)
            entry = {"network": name, "norm": norm, "num_images": len(images), **result}
            save(pathlib.Path(args.out), f"{name}_{norm}", entry)


if __name__ == "__main__":
    main()
