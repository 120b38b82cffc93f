"""Tables of `benchmarks.parity.optimality`, from its result alone."""

import numpy as np

from igam_tf.evaluation.best_known import best_distances, optimality
from tools.tables import table_lines

TITLES = {"linf": "Linf", "l2": "L2", "l1": "L1"}
# What counts as the best: AttackBench's curves do not tell such points apart.
WITHIN = 1.001


def compared(entry):
    """What the distances of one network in one norm say of each attack.

    Args:
        entry: dict as in results/optimality.json: "attacks" from name to "distances"
            (None where nothing was found) and "passes_an_image".

    Returns:
        Dict with "num_correct", "median_of_best" (None for infinity) and "rows", the
        best attack first: dicts with "attack", "optimality", "median_distance",
        "num_best" (at the best known distance, or within 0.1 %), "num_found", "passes".
    """
    distances = {
        name: np.array([np.inf if d is None else d for d in found["distances"]])
        for name, found in entry["attacks"].items()
    }
    best = best_distances(distances)
    right = best > 0
    rows = [
        {
            "attack": name,
            "optimality": optimality(values, best),
            "median_distance": _median(values[right]),
            "num_best": int((values <= WITHIN * best)[right & np.isfinite(best)].sum()),
            "num_found": int(np.isfinite(values[right]).sum()),
            "passes": entry["attacks"][name]["passes_an_image"],
        }
        for name, values in distances.items()
    ]
    rows.sort(key=lambda row: -row["optimality"])
    return {
        "num_correct": int(right.sum()),
        "median_of_best": _median(best[right]),
        "rows": rows,
    }


def of_one(entry):
    """Markdown of one network in one norm, to be printed."""
    found = compared(entry)
    rows = [
        [
            row["attack"],
            f"{row['optimality']:.3f}",
            row["median_distance"],
            row["num_best"],
            _passes(row["passes"]),
        ]
        for row in found["rows"]
    ]
    header = ["attack", "optimality", "median distance", "best", "passes of an image"]
    return "\n".join(
        [
            f"{entry['network']}, {TITLES[entry['norm']]}, {found['num_correct']} "
            "images that are right when clean; median of the best "
            f"{found['median_of_best']}",
            "",
            *table_lines(header, rows),
        ]
    )


def table(results):
    """Markdown of all: for each norm the attacks by network.

    Args:
        results: dict as in results/optimality.json.

    Returns:
        Markdown: a table for each norm, and what the numbers mean.
    """
    lines = []
    for norm, title in TITLES.items():
        entries = [entry for entry in results.values() if entry["norm"] == norm]
        if entries:
            lines += [f"{title}:", "", *_of_norm(entries), ""]
    return "\n".join([*lines, *_captions(results)]) + "\n"


def _of_norm(entries):
    found = [compared(entry) for entry in entries]
    cells = [{row["attack"]: row for row in one["rows"]} for one in found]
    attacks = list(dict.fromkeys(attack for one in cells for attack in one))
    means = {
        attack: np.mean([c[attack]["optimality"] for c in cells if attack in c])
        for attack in attacks
    }
    attacks.sort(key=lambda attack: -means[attack])
    rows = [["best known, median", *(one["median_of_best"] for one in found)]]
    rows += [[attack, *(_cell(one.get(attack)) for one in cells)] for attack in attacks]
    header = ["", *(entry["network"] for entry in entries)]
    return table_lines(header, rows)


def _cell(row):
    if row is None:
        return "-"
    return f"{row['optimality']:.3f} ({row['num_best']}; {_passes(row['passes'])})"


def _captions(results):
    entries = list(results.values())
    sizes = {}
    for entry in entries:
        right = compared(entry)["num_correct"]
        sizes[entry["network"]] = (
            f"{entry['network']} {right} of {entry['num_images']} images of "
            f"{entry['dataset']} ({entry['num_classes']} classes, "
            f"{entry['num_parameters']:,} parameters)"
        )
    machines = sorted(
        {f"{entry['processor']}, {entry['threads']} thread" for entry in entries}
    )
    names = {(entry["norm"], name) for entry in entries for name in entry["attacks"]}
    is_whole = all(
        {name for norm, name in names if norm == entry["norm"]} == set(entry["attacks"])
        for entry in entries
    )
    return [
        "- Optimality (images at the best known distance or within 0.1 % of it; "
        "forward + backward passes of an image).",
        f"- Images that are right when clean, and count: {', '.join(sizes.values())}.",
        '- "each eps": the attack knows its eps, which is searched image by image; '
        "passes of APGD are the mean over the images, which leave once they are "
        "misled.",
        *(['- "-": not run there; the best is that of the others.'] * (not is_whole)),
        f"- Measured on {'; '.join(machines)}.",
    ]


def _passes(passes):
    return " + ".join(f"{count:,}" for count in passes)


def _median(distances):
    median = float(np.median(distances)) if len(distances) else np.inf
    return float(f"{median:.4g}") if np.isfinite(median) else None
