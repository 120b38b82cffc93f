"""Attacks against the best known point of each image: AttackBench's optimality.

    python -m benchmarks.parity.optimality --case=digits_parity_igam,digits_parity
    python -m benchmarks.parity.optimality --data_dir=DIR \\
      --case=teachers/mnist_cnn_madry_eps03.keras,mnist --norms linf l2

Each attack looks for the smallest perturbation of the same images, the first ones of
the test set; the best of all of them is what each is held against. FMN, DDN and FAB
look for it themselves. APGD and PGD know an eps, which is searched image by image.
MODEL is a name of `igam-tf zoo` or a file. What is measured is added to the JSON file
attack by attack: killed, the same command goes on where it was. `python -m
tools.readme_tables` makes the tables of docs/evaluation.md of it.
"""

import argparse
import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

import igam_tf
from benchmarks.parity.autoattack_reference import save
from benchmarks.processor import processor
from igam_tf import attacks, evaluation
from tools import optimality_table

NORMS = ("linf", "l2", "l1")
# Only the random starts of FAB, of which the first run has none, would need it.
_ANY_EPS = 0.1
BISECTIONS, PGD_STEPS = 12, 20
# Of the eps that APGD is run at: equal ratios, the smallest 1/4096 of the largest.
OCTAVES, HALVINGS = 12, 12


def searches(norm):
    """Dict from name to an attack that has `nearest`."""
    found = {
        "FMN": attacks.FMN(eps=_ANY_EPS, norm=norm),
        "FMN, 1,000 steps": attacks.FMN(eps=_ANY_EPS, norm=norm, num_steps=1000),
        "FMN-T": attacks.FMN(eps=_ANY_EPS, norm=norm, num_targets=9),
        "FAB-T": attacks.FAB(eps=_ANY_EPS, norm=norm),
        "FAB": attacks.FAB(eps=_ANY_EPS, norm=norm, num_targets=0),
    }
    if norm == "l2":
        found["DDN"] = attacks.DDN(eps=_ANY_EPS)
        found["DDN, 1,000 steps"] = attacks.DDN(eps=_ANY_EPS, num_steps=1000)
    return found


def measurements(norm):
    """Dict from an attack's name to a function of a model, images and labels.

    Each returns distances (n,), and the passes of an image that is right when clean:
    forward, backward.
    """

    def by_itself(attack):
        def measure(model, images, labels):
            _, distances = attack.nearest(model, images, labels)
            return distances, attack.for_classes(model.output_shape[-1]).image_passes()

        return measure

    def at_each_eps(**settings):
        def measure(model, images, labels):
            def attack(eps, images, labels):
                part = attacks.APGD(eps=eps, norm=norm, **settings)
                ensemble = igam_tf.AutoAttack(eps=eps, norm=norm, version=(part,))
                outcome = ensemble.outcome(model, images, labels)
                counts = outcome.forward_passes, outcome.backward_passes
                passes = [count[part.name] for count in counts]
                return outcome.adversarial, ~outcome.robust[part.name], passes

            wrong = model.predict(images, verbose=0).argmax(axis=1) != labels
            return nearest_eps(attack, images, labels, wrong, norm)

        return measure

    found = {name: by_itself(attack) for name, attack in searches(norm).items()}
    found["APGD-CE, each eps"] = at_each_eps()
    found["APGD-T, each eps"] = at_each_eps(loss="dlr_targeted")
    if norm != "l1":
        found[f"PGD-{PGD_STEPS}, each eps"] = lambda model, images, labels: (
            evaluation.measured_robustness(
                model, images, labels,
                norm=norm, num_steps=PGD_STEPS, num_bisections=BISECTIONS,
            ),
            (BISECTIONS * (PGD_STEPS + 1), BISECTIONS * PGD_STEPS),
        )  # fmt: skip
    return found


def nearest_eps(attack, images, labels, wrong, norm):
    """Distances at which an attack that knows its eps succeeds, by halving.

    The eps of all images are of one series of equal ratios, so that images which have
    come to the same one are attacked as one batch.

    Args:
        attack: takes eps, images (m, ...) and labels (m,), and returns adversarial
            images, bool (m,), which of them mislead, and the passes of all of them,
            forward and backward.
        images: float32 array (n, height, width, channels) in [0, 1].
        labels: integers (n,).
        wrong: bool (n,), misclassified as they are.
        norm: of the distances.

    Returns:
        Float array (n,): 0 where `wrong`, infinity where nothing was found; and the
        mean passes of the other images, forward and backward.
    """
    largest = length(np.ones_like(images[:1]), norm)[0]
    exponents = OCTAVES * (np.arange(2**HALVINGS + 1) / 2**HALVINGS - 1)
    series = largest * 2.0**exponents
    # Places in the series: of the last eps that failed, and of the first that did not.
    failed = np.zeros(len(images), int)
    reached = np.full(len(images), 2**HALVINGS)
    distances = np.where(wrong, 0.0, np.inf)
    passes = np.zeros(2)
    while (searched := ~wrong & (reached - failed > 1)).any():
        middle = (failed + reached) // 2
        for place in np.unique(middle[searched]):
            rows = np.flatnonzero(searched & (middle == place))
            found, misled, cost = attack(series[place], images[rows], labels[rows])
            passes += cost
            sizes = np.where(misled, length(found - images[rows], norm), np.inf)
            distances[rows] = np.minimum(distances[rows], sizes)
            failed[rows[~misled]] = place
            reached[rows[misled]] = place
    return distances, (passes / max(1, (~wrong).sum())).round().astype(int)


def length(differences, norm):
    """Norms (n,) of differences of images."""
    flat = np.abs(differences.reshape(len(differences), -1).astype(np.float64))
    order = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
    return np.linalg.norm(flat, ord=order, axis=1)


def load(case, data_dir, num_images):
    """Name, model, images and labels of MODEL,DATASET."""
    model, dataset = case.split(",")
    if model in igam_tf.zoo.list():
        name, model = model, igam_tf.zoo.load(model)
    else:
        name = pathlib.Path(model).stem
        model = keras.saving.load_model(model, compile=False)
    test = igam_tf.data.read(
        dataset, data_dir, train_examples=1, test_examples=num_images, download=False
    ).test
    batches = igam_tf.data.evaluation_batches(test, num_images)
    images, labels = next(iter(batches.as_numpy_iterator()))
    return name, model, images, labels


def run_case(case, norm, args):
    """Measures what the file does not have yet, prints and saves it."""
    name, model, images, labels = load(case, args.data_dir, args.num_images)
    key = f"{name}_{norm}"
    entry = {
        "network": name,
        "dataset": case.split(",")[1],
        "norm": norm,
        "num_images": len(images),
        "num_classes": model.output_shape[-1],
        "num_parameters": model.count_params(),
        "processor": processor(),
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "attacks": {},
    }
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    before = results.get(key, {})
    # Of another network of this name, or of other images, the distances do not count.
    same = ("dataset", "num_images", "num_classes", "num_parameters")
    if all(before.get(name) == entry[name] for name in same):
        entry["attacks"] = before["attacks"]
    for attack, measure in measurements(norm).items():
        if attack in entry["attacks"]:
            continue
        start = time.perf_counter()
        distances, passes = measure(model, images, labels)
        seconds = time.perf_counter() - start
        entry["attacks"][attack] = {
            # No infinity in JSON.
            "distances": [
                float(f"{d:.6g}") if np.isfinite(d) else None for d in distances
            ],
            "passes_an_image": [int(count) for count in passes],
            "seconds": round(seconds, 1),
        }
        save(args.out, key, entry)
        print(f"{key} {attack}: {seconds:.0f} s", flush=True)
    print(f"\n{optimality_table.of_one(entry)}\n", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--case", action="append", required=True, metavar="MODEL,DATASET",
        help="may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--data_dir", help="folder of prepared data; TFDS' own if left out"
    )
    parser.add_argument("--norms", nargs="+", choices=NORMS, default=NORMS[:2])
    parser.add_argument("--num_images", type=int, default=50)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("results/optimality.json")
    )
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    for case in args.case:
        for norm in args.norms:
            run_case(case, norm, args)


if __name__ == "__main__":
    main()
