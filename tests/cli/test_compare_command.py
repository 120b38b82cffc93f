"""`igam-tf evaluate --compare` on hand-made results."""

import json
import subprocess
import sys

import pytest

from igam_tf.cli import evaluate as command
from igam_tf.evaluation.outcomes import packed

pytestmark = pytest.mark.fast


def evaluation(bits, eps=0.1):
    is_correct = packed([int(bit) for bit in bits])
    return {
        "threat_model": "L2",
        "eps": eps,
        "batch_norm": "inference",
        "num_examples": len(bits),
        "attacks": {"pgd20": {"attack": "pgd"}},
        "outcomes": {"images": "a", "correct": {"pgd20": is_correct}},
    }


@pytest.fixture(name="paths")
def _paths(tmp_path):
    """One file of one row, and a run folder of two."""
    first = {"rows": {"igam": {"label": "IGAM", "evaluation": evaluation("1110")}}}
    rows = {
        "standard": {"label": "Standard", "evaluation": evaluation("0110")},
        "large": {"label": "Large", "evaluation": evaluation("0110", eps=0.5)},
        "old": {"label": "Old", "evaluation": {"attacks": {}}},
    }
    (tmp_path / "a.json").write_text(json.dumps(first))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "bare.json").write_text(json.dumps(evaluation("0110")))
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "other.json").write_text('{"title": "none"}')
    (tmp_path / "number.json").write_text('{"rows": {"a": 5}}')
    (tmp_path / "broken.json").write_text("{")
    return tmp_path


def test_table_and_json(paths, capsys):
    out = paths / "difference.json"
    asked = ["--compare", f"{paths}/a.json", f"{paths}/run:standard", f"--out={out}"]
    assert command.main(asked) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith("| pgd20"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    interval = cells.pop(4)
    assert interval.startswith("-23.") and interval.endswith(" to +25.0")
    assert cells == ["pgd20", "75.0", "50.0", "+25.0", "1", "0", "1", "undecided"]
    assert "first: IGAM (" in printed and "second: Standard (" in printed
    assert "L2, eps 0.1; 4 test images" in printed
    found = json.loads(out.read_text())
    assert found["attacks"]["pgd20"]["first_only"] == 1
    # One image of four; the interval of a share of one image is 0.025 to 1.
    interval = found["attacks"]["pgd20"]["interval"]
    assert interval == pytest.approx([(2 * 0.025 - 1) / 4, 1 / 4])
    assert found["second"].startswith("Standard (")


def test_what_evaluate_returned_is_read_as_well(paths, capsys):
    asked = ["--compare", f"{paths}/bare.json", f"{paths}/run:standard"]
    assert command.main(asked) == 0
    assert "first: bare.json" in capsys.readouterr().out


@pytest.mark.parametrize(
    "second, message",
    [
        ("nowhere.json", "there is no file"),
        ("run", "rows standard, large, old: expected one of them"),
        ("run:none", "no row 'none'"),
        ("run:old", "no outcomes image by image"),
        ("run:large", "radius of the two results is 0.1 and 0.5"),
        ("list.json", "expected a JSON object"),
        ("broken.json", "broken.json is damaged"),
        ("other.json", "has no rows"),
        ("number.json", "row 'a' has no outcomes image by image"),
    ],
)
def test_bad_input_is_one_line(paths, capsys, second, message):
    asked = ["--compare", f"{paths}/a.json", f"{paths}/{second}"]
    assert command.main(asked) == 1
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1


@pytest.mark.parametrize("out", ["a.json", "nowhere/out.json", "run"])
def test_results_take_the_place_of_nothing(paths, capsys, out):
    asked = ["--compare", f"{paths}/a.json", f"{paths}/run:standard"]
    assert command.main([*asked, f"--out={paths}/{out}"]) == 1
    assert "--out=" in capsys.readouterr().err
    assert json.loads((paths / "a.json").read_text())["rows"]


def test_it_needs_two(capsys):
    with pytest.raises(SystemExit):
        command.main(["--compare", "a.json"])
    assert "expected 2 arguments" in capsys.readouterr().err


def test_it_needs_no_tensorflow(paths):
    code = (
        "import sys; from igam_tf.cli import evaluate; "
        f"status = evaluate.main(['--compare', '{paths}/a.json', "
        f"'{paths}/run:standard']); "
        "sys.exit(status or 'tensorflow' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
