"""`python -m igam_tf.reports` on a small run folder."""

import json
import re
import subprocess
import sys

import pytest
from small_models import digits_net

from igam_tf.cli import report as command


def evaluation():
    found = {"accuracy": 0.5, "interval_95": [0.4, 0.6]}
    return {
        "attacks": {"clean": found, "fgsm": found, "pgd3": found, "pgd20": found},
        "threat_model": "Linf",
        "eps": 0.15,
        "step_size": None,
        "batch_norm": "inference",
        "seed": 0,
        "num_examples": 100,
    }


@pytest.fixture(name="folder")
def _folder(tmp_path):
    """Two rows, of which one has its student elsewhere."""
    for part in ("standard", "other/igam"):
        (tmp_path / part).mkdir(parents=True)
        digits_net().save(tmp_path / part / "student.keras")
    rows = {
        "standard": {"label": "Standard", "evaluation": evaluation()},
        "igam": {
            "label": "IGAM",
            "evaluation": evaluation(),
            "student": "other/igam/student.keras",
        },
    }
    settings = {"target": "digits", "eps": 0.15, "norm": "linf", "data_dir": ""}
    results = {"title": "digits -> digits", "rows": rows, "settings": settings}
    (tmp_path / "results.json").write_text(json.dumps(results))
    return tmp_path


def test_writes_table_and_all_figures(folder, capsys):
    arguments = [str(folder), "--examples=2", "--alignment_examples=6"]
    assert command.main(arguments) == 0
    names = ["table.md"] + [
        f"{name}.{kind}"
        for name in ("input_gradients", "surfaces", "bars", "alignment")
        for kind in ("png", "pdf")
    ]
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(folder / name) for name in names]
    assert all((folder / name).stat().st_size > 200 for name in names)
    assert "| IGAM " in (folder / "table.md").read_text()
    kept = {path.name for path in folder.iterdir()}
    assert kept == {*names, "results.json", "standard", "other"}


def test_chosen_figures_and_rows(folder, capsys):
    (folder / "standard" / "student.keras").unlink()
    assert command.main([str(folder), "--figures=bars", "--rows=igam"]) == 0
    printed = capsys.readouterr().out.split()
    assert printed == [str(folder / f) for f in ("table.md", "bars.png", "bars.pdf")]


@pytest.mark.parametrize(
    "damage, arguments, message",
    [
        (lambda f: None, ["--rows=pgd"], "--rows: .'pgd'. not among"),
        (lambda f: (f / "results.json").unlink(), [], "has no results.json"),
        (lambda f: (f / "results.json").write_text("{"), [], "is not JSON"),
        (lambda f: (f / "results.json").write_text("{}"), [], "no title, rows, sett"),
        (lambda f: (f / "standard/student.keras").unlink(), [], "standard/student.ke"),
        (
            lambda f: _set_target(f, "cifar10"),
            ["--nodownload", "--data_dir=/tmp/nothing-here"],
            "cifar10",
        ),
    ],
)
def test_errors(folder, capsys, damage, arguments, message):
    damage(folder)
    assert command.main([str(folder), *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert re.search(message, error), error
    assert not list(folder.glob("*.png"))


def _set_target(folder, name):
    path = folder / "results.json"
    results = json.loads(path.read_text())
    results["settings"]["target"] = name
    path.write_text(json.dumps(results))


def test_no_folder(tmp_path, capsys):
    assert command.main([str(tmp_path / "none")]) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_the_command_line_answers_without_tensorflow(tmp_path):
    code = (
        "import sys; from igam_tf.cli.report import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'tensorflow' not in sys.modules and 'matplotlib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "igam_tf.reports", str(tmp_path), "--figures=pie"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and "pie: expected names among" in done.stderr
