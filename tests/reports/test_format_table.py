"""The table of a run, letter by letter and feature by feature."""

import copy

import pytest

from igam_tf.reports import format_table
from igam_tf.reports.table import attack_title

pytestmark = pytest.mark.fast


def evaluation(**accuracies):
    return {
        "attacks": {
            name: {"accuracy": a, "interval_95": [a - 0.02, a + 0.02]}
            for name, a in accuracies.items()
        },
        "threat_model": "Linf",
        "eps": 8 / 255,
        "step_size": None,
        "batch_norm": "inference",
        "seed": 3,
        "num_examples": 1000,
        "warnings": [],
    }


RESULTS = {
    "title": "CIFAR-10 -> CIFAR-100",
    "rows": {
        "standard": {
            "label": "Standard",
            "evaluation": evaluation(clean=0.787, fgsm=0.0795, pgd20=0.0),
            "training_seconds": 61.26,
        },
        "igam": {
            "label": "IGAM-CIFAR10",
            "evaluation": evaluation(clean=0.6239, pgd20=0.21744),
            "training_seconds": None,
        },
    },
}

EXPECTED = """\
### CIFAR-10 -> CIFAR-100

| Model        | clean | FGSM | PGD-20 | training (s) |
| ------------ | ----: | ---: | -----: | -----------: |
| Standard     |  78.7 |  8.0 |    0.0 |         61.3 |
| IGAM-CIFAR10 |  62.4 |    - |   21.7 |            - |

- Accuracy in percent (95 % intervals: up to 2.0 points on each side).
- Linf, eps 8/255; 1000 test images; seed 3; batch norm in inference mode.
- No controls of IGAM-CIFAR10: nothing here says that its robustness comes from the \
teacher. Add --controls=natural_teacher,random_teacher,zero,shuffled.
"""


@pytest.fixture
def results():
    return copy.deepcopy(RESULTS)


def test_whole_table(results):
    results["rows"]["standard"]["evaluation"]["attacks"]["fgsm"]["accuracy"] = 0.0804
    assert format_table(results) == EXPECTED


def test_changed_runs_warnings_and_the_paper(results):
    results["changes"] = ["epochs 3 (recipe: 40)", "width 1 (recipe: 10)"]
    results["rows"]["igam"]["evaluation"]["warnings"] = ["pgd20 does worse than fgsm."]
    results["paper"] = {"igam": {"clean": 62.39, "fgsm": 34.31}}
    text = format_table(results)
    assert "62.4 (62.4, +0.0)" in text and "- (34.3)" in text
    assert "in parentheses the paper's" in text
    changes = "epochs 3 (recipe: 40), width 1 (recipe: 10)"
    assert f"- Not the recipe: {changes}.\n" in text
    assert "- Warning, IGAM-CIFAR10: pgd20 does worse than fgsm.\n" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1


def test_rows_that_were_measured_differently_say_so(results):
    results["rows"]["igam"]["evaluation"].update(
        batch_norm="batch", num_examples=500, step_size=2 / 255
    )
    text = format_table(results)
    assert "- Standard: Linf, eps 8/255; 1000 test images" in text
    assert "- IGAM-CIFAR10: Linf, eps 8/255, step 2/255; 500 test images" in text
    assert "statistics of each batch" in text


@pytest.mark.parametrize(
    "seconds, head, cell",
    [(59.0, "training (s)", "59.0"), (3600, "training (min)", "60.0")]
    + [(72000, "training (h)", "20.0")],
)
def test_unit_of_time(results, seconds, head, cell):
    results["rows"]["igam"]["training_seconds"] = seconds
    lines = format_table(results).splitlines()
    assert head in lines[2] and lines[5].endswith(f" {cell} |")


@pytest.mark.parametrize(
    "name, title",
    [("clean", "clean"), ("fgsm", "FGSM"), ("pgd20x5", "PGD-20 x5"), ("cw40", "CW-40")]
    + [("pgd(eps=8/255)", "pgd(eps=8/255)")],
)
def test_titles_of_columns(name, title):
    assert attack_title(name) == title


def test_no_rows():
    with pytest.raises(ValueError, match="no rows"):
        format_table({"title": "nothing", "rows": {}})


def test_statistics_have_a_table_of_their_own(results):
    results["paper"] = {"igam": {"curvature": 2.165}}
    results["rows"]["igam"]["evaluation"]["statistics"] = {
        "gradient_l1": {"mean": 37.4213, "sd": 1.0, "num_images": 1000},
        "curvature": {"mean": None, "sd": None, "num_images": 0},
    }
    lines = [line for line in format_table(results).splitlines() if "|" in line]
    assert lines[4:] == [
        "| Model        | grad L1 | curvature |",
        "| ------------ | ------: | --------: |",
        "| Standard     |       - |         - |",
        "| IGAM-CIFAR10 |   37.42 | - (2.165) |",
    ]
