"""The paper's claims against the tables measured here: which hold at this size.

    python -m tools.claims [--size=small]

Reads results/table1_small.json and so on, as `run.py --flagfile=flags/table1.cfg` wrote
them, and prints, for each claim, the two accuracies that it compares, their difference,
and a verdict: "holds" or "does not hold" where the exact McNemar test on the same
images decides at 5 %, and "undecided" where it does not. Results that do not say what
happened to each image are compared by their 95 % intervals: decided where these are
apart. The same under AutoAttack, where it was run.
"""

import argparse
import dataclasses
import json
import pathlib

from igam_tf.evaluation.paired import attacks_of
from igam_tf.evaluation.paired import compare as paired
from igam_tf.reports.names import HELD_OUT, evaluated_images
from tools.tables import print_table, table_lines

RESULTS = pathlib.Path(__file__).resolve().parent.parent / "results"


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row is above another under an attack.

    Args:
        text: the claim, for a reader of the paper.
        higher, lower: (table, row) of either.
        attack: column.
    """

    text: str
    higher: tuple
    lower: tuple
    attack: str = "pgd20"


def _pairs(text, attack, *pairs):
    return [
        Claim(text, (table, higher), (other, lower), attack)
        for table, higher, other, lower in pairs
    ]


UPSIZE, PAD, RANDOM = "igam-upsize", "igam-pad", "igam-randompad"
CLAIMS = [
    *_pairs(
        "IGAM is more robust than Standard", "pgd20",
        ("table1", "igam-mnist", "table1", "standard"),
        ("table2", UPSIZE, "table2", "standard"),
        ("table3", "igam-mnist", "table3", "standard"),
        ("table3", "igam-cifar10", "table3", "standard"),
    ),
    *_pairs(
        "IGAM is more robust than FT", "pgd20",
        ("table1", "igam-mnist", "table1", "ft-mnist"),
        ("table2", UPSIZE, "table2", "ft-tinyimagenet"),
        ("table3", "igam-cifar10", "table3", "ft-cifar10"),
    ),
    *_pairs(
        "IGAM is more accurate than FT", "clean",
        ("table1", "igam-mnist", "table1", "ft-mnist"),
        ("table2", UPSIZE, "table2", "ft-tinyimagenet"),
        ("table3", "igam-cifar10", "table3", "ft-cifar10"),
    ),
    *_pairs(
        "IGAM is more accurate than adversarial training", "clean",
        ("table1", "igam-mnist", "table1", "pgd3-trained"),
        ("table2", UPSIZE, "table2", "pgd3-trained"),
        ("table3", "igam-cifar10", "table3", "pgd3-trained"),
    ),
    *_pairs(
        "Downwards transfer is above upwards", "pgd20",
        ("table2", UPSIZE, "table1", "igam-mnist"),
        ("table3", "igam-cifar10", "table3", "igam-mnist"),
    ),
    *_pairs(
        "Resizing and padding are above transpose convolution", "pgd100",
        ("table2", UPSIZE, "table2", "igam-transposeconv"),
        ("table2", PAD, "table2", "igam-transposeconv"),
        ("table2", RANDOM, "table2", "igam-transposeconv"),
    ),
]  # fmt: skip


def additive(tables):
    """Claims of Tables 4 and 5: both terms are above either alone."""
    for table, text in (("table4", "L_adv alone"), ("table5", "L_diff alone")):
        if table in tables:
            first, *_, last = tables[table]["rows"]
            yield Claim(f"Both terms are above {text}", (table, last), (table, first))


def figure5(tables):
    """Claims of Figure 5: IGAM above FT and Standard."""
    for row in tables.get("figure5", {"rows": ()})["rows"]:
        if row.startswith("igam"):
            for other in ("standard", row.replace("igam", "ft")):
                pair = ("figure5", row), ("figure5", other)
                yield Claim("IGAM is more robust on Tiny-ImageNet", *pair, "pgd5")


def compare(tables, claim, attack):
    """Accuracies, difference and verdict of a claim.

    Args:
        tables: dict from name to the contents of its results.
        claim: `Claim`.
        attack: column, the claim's or another.

    Returns:
        Tuple (higher, lower, verdict) of two fractions and a text, or None where one of
        the two was not measured.
    """
    evaluations = []
    for table, row in (claim.higher, claim.lower):
        rows = tables.get(table, {"rows": {}})["rows"]
        measured = rows.get(row, {"evaluation": {"attacks": {}}})["evaluation"]
        evaluations.append(measured)
    if not all(attack in measured["attacks"] for measured in evaluations):
        return None
    higher, lower = (measured["attacks"][attack] for measured in evaluations)
    if all(attack in attacks_of(measured) for measured in evaluations):
        decided = paired(*evaluations, attack)["decided"]
        verdict = {1: "holds", 0: "undecided", -1: "does not hold"}[decided]
    elif higher["interval_95"][0] > lower["interval_95"][1]:
        verdict = "holds"
    elif higher["interval_95"][1] < lower["interval_95"][0]:
        verdict = "does not hold"
    else:
        verdict = "undecided"
    return higher["accuracy"], lower["accuracy"], verdict


def rows_of(tables):
    """Cells of the table of claims."""
    for claim in [*CLAIMS, *additive(tables), *figure5(tables)]:
        found = compare(tables, claim, claim.attack)
        if found is None:
            continue
        cells = [
            claim.text,
            ": ".join(claim.higher),
            ": ".join(claim.lower),
            claim.attack,
        ]
        cells += [f"{100 * found[0]:.1f}", f"{100 * found[1]:.1f}", found[2]]
        strong = compare(tables, claim, "autoattack")
        if claim.attack == "clean" or strong is None:
            yield [*cells, "-"]
        else:
            yield [
                *cells,
                f"{100 * strong[0]:.1f} / {100 * strong[1]:.1f}, {strong[2]}",
            ]


HEADER = [
    "claim",
    "this row",
    "above this",
    "attack",
    "%",
    "%",
    "verdict",
    "AutoAttack",
]


def read(size):
    """The tables of a size that are in results/, with AutoAttack's on fewer images."""
    tables = {}
    for name in (*(f"table{i}" for i in range(1, 6)), "figure5"):
        path = RESULTS / f"{name}_{size}.json"
        if not path.exists():
            continue
        tables[name] = json.loads(path.read_text())
        _check_test_images(path, tables[name])
        strong = path.with_name(f"{name}_{size}_autoattack.json")
        if strong.exists():
            extra = json.loads(strong.read_text())
            _check_test_images(strong, extra)
            for row, other in extra["rows"].items():
                attacks = tables[name]["rows"][row]["evaluation"]["attacks"]
                attacks["autoattack"] = other["evaluation"]["attacks"]["autoattack"]
    return tables


def _check_test_images(path, results):
    """Raises ValueError unless every row was evaluated on test images."""
    for name, row in results["rows"].items():
        if row["evaluation"].get(HELD_OUT):
            raise ValueError(
                f"{path.name}: the row {name!r} is of "
                f"{evaluated_images(row['evaluation'])}, on which settings are chosen: "
                f"claims need test images; run it without --{HELD_OUT}."
            )


def markdown(size):
    """The table of claims at a size; empty if no table was run."""
    rows = list(rows_of(read(size)))
    return "\n".join(table_lines(HEADER, rows)) + "\n" if rows else ""


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", default="small")
    args = parser.parse_args(arguments)
    rows = list(rows_of(read(args.size)))
    if not rows:
        parser.error(f"no results/table*_{args.size}.json: run the tables first.")
    print_table(HEADER, rows)


if __name__ == "__main__":
    main()
