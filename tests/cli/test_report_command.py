"""`python -m igam_tf.reports` on a small run folder."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from small_models import digits_net

from igam_tf import data, pixels
from igam_tf.cli import evaluate
from igam_tf.cli import report as command

HISTORY = "epoch,seconds,accuracy,loss\n1,2.0,0.5,1.5\n2,1.0,0.75,1.0\n"


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


def test_writes_table_page_and_all_figures(folder, capsys):
    (folder / "other/igam/history.csv").write_text(HISTORY)
    arguments = [str(folder), "--examples=2", "--alignment_examples=6"]
    assert command.main(arguments) == 0
    figures = ("input_gradients", "surfaces", "bars", "alignment", "curves")
    drawn = [f"{name}.{kind}" for name in figures for kind in ("png", "pdf")]
    names = ["table.md", *drawn, "report.html"]
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(folder / name) for name in names]
    assert all((folder / name).stat().st_size > 200 for name in names)
    assert "| IGAM " in (folder / "table.md").read_text()
    kept = {path.name for path in folder.iterdir()}
    assert kept == {*names, "results.json", "standard", "other"}
    page = (folder / "report.html").read_text()
    assert "IGAM: adversarial image, seen as" in page and "Left out" not in page
    assert page.count("data:image/png") == 3 + 6 + 2 * 2 * 6


def test_chosen_figures_and_rows(folder, capsys):
    (folder / "standard" / "student.keras").unlink()
    assert command.main([str(folder), "--figures=bars", "--rows=igam"]) == 0
    printed = capsys.readouterr().out.split()
    names = ("table.md", "bars.png", "bars.pdf", "report.html")
    assert printed == [str(folder / name) for name in names]
    # The figures are of one row, and the page of the run.
    assert "Standard" in (folder / "report.html").read_text()


def test_what_cannot_be_drawn_is_left_out_and_said(folder, capsys):
    missing = folder / "standard" / "student.keras"
    missing.unlink()
    assert command.main([str(folder)]) == 0
    printed = capsys.readouterr()
    names = ("table.md", "bars.png", "bars.pdf", "report.html")
    assert printed.out.split() == [str(folder / name) for name in names]
    pictures, curves = printed.err.splitlines()
    told = "left out: Input gradients, surfaces and adversarial images: students are"
    assert pictures.startswith(told) and str(missing) in pictures
    assert curves.startswith("left out: Curves: no row has its history.csv")
    page = (folder / "report.html").read_text()
    assert "Left out" in page and str(missing) in page


def test_the_page_of_an_evaluation(tmp_path, capsys):
    """Beside its JSON, with pictures if the model lies there."""
    found = evaluation() | {"robustbench": {"dataset": "digits"}}
    rows = {"net": {"label": "net", "evaluation": found}}
    results = {"title": "net.keras on digits", "rows": rows}
    path = tmp_path / "net.results.json"
    path.write_text(json.dumps(results))
    assert command.main([str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [str(tmp_path / "net.results.html")]
    assert f"there is no model {tmp_path / 'net.keras'}" in printed.err
    digits_net().save(tmp_path / "net.keras")
    assert command.main([str(path), "--examples=2"]) == 0
    assert capsys.readouterr().err == ""
    page = (tmp_path / "net.results.html").read_text()
    assert "Input gradients" in page and "net: adversarial image" in page
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"net.results.json", "net.results.html", "net.keras"}
    path.write_text("[]")
    assert command.main([str(path)]) == 1
    assert "expected the results of igam-tf evaluate" in capsys.readouterr().err


def test_an_evaluation_on_own_images_is_drawn_of_these(tmp_path, monkeypatch, capsys):
    """Of a folder that has the name of a registered data set, and of a .h5 file."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (40, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "digits.npz", images=images, labels=np.arange(40) % 10)
    digits_net().save(tmp_path / "net.h5")
    monkeypatch.chdir(tmp_path)
    flags = ["--dataset=digits.npz", "--attacks=clean", "--nopanel"]
    flags += ["--test_fraction=0.5", "--split_seed=3", "--out=found.json"]
    assert evaluate.main([str(tmp_path / "net.h5"), *flags]) == 0
    path = tmp_path / "found.json"
    results = json.loads(path.read_text())
    assert results["rows"]["net"]["evaluation"]["robustbench"]["dataset"] == "digits"
    # From another folder, too.
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    asked = command._parser().parse_args([str(path)])
    models, split = command._at_hand(asked, results, results["rows"], False)
    assert models["net"].count_params() == digits_net().count_params()
    told = results["images"]["own"]
    assert told == {"test_fraction": 0.5, "split_seed": 3}
    expected = data.read(str(tmp_path / "digits.npz"), train_examples=1, **told).test
    np.testing.assert_array_equal(split.images, expected.images)
    assert len(split) == 20


def test_figures_that_an_evaluation_has_not_are_refused(tmp_path, capsys):
    rows = {"net": {"label": "net", "evaluation": evaluation()}}
    path = tmp_path / "net.results.json"
    path.write_text(json.dumps({"title": "net.keras on digits", "rows": rows}))
    for figures, message in (
        ("bars,class_pairs", "--figures=bars: drawn of a run folder only"),
        ("robustness", "no row has distances"),
        ("class_pairs", "no row has class pairs"),
    ):
        assert command.main([str(path), f"--figures={figures}"]) == 1
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["net.results.json"]


def test_a_model_that_takes_other_pixels_is_drawn_as_it_was_evaluated(tmp_path):
    images = keras.Input((8, 8, 1))
    grey = keras.Model(images, digits_net()(keras.layers.Rescaling(1 / 255)(images)))
    grey.save(tmp_path / "grey.keras")
    flags = ["--dataset=digits", "--attacks=clean", "--max_examples=60", "--nopanel"]
    flags += ["--input_range=0,255"]
    assert evaluate.main([str(tmp_path / "grey.keras"), *flags]) == 0
    path = tmp_path / "grey.results.json"
    results = json.loads(path.read_text())
    asked = command._parser().parse_args([str(path)])
    models, split = command._at_hand(asked, results, results["rows"], False)
    images = pixels.as_float(split.images[:60])
    found = models["grey"](images).numpy().argmax(axis=1)
    entry = results["rows"]["grey"]["evaluation"]["attacks"]["clean"]
    assert (found == split.labels[:60]).sum() == entry["num_correct"] > 40


@pytest.mark.parametrize(
    "damage, arguments, message",
    [
        (lambda f: None, ["--rows=pgd"], "--rows: .'pgd'. not among"),
        (lambda f: (f / "results.json").unlink(), [], "has no results.json"),
        (lambda f: (f / "results.json").write_text("{"), [], "is not JSON"),
        (lambda f: (f / "results.json").write_text("{}"), [], "no title, rows, sett"),
        (lambda f: (f / "results.json").write_text("[" * 99999), [], "is not JSON"),
        (lambda f: _set(f, rows=["igam"]), [], "its rows are list: expected the res"),
        (lambda f: _set(f, rows={"igam": 1}), [], "row 'igam' has no label and eval"),
        (
            lambda f: _set(f, rows={"a": {"label": "A", "evaluation": {}}}),
            [],
            "the row 'a' has no attacks in its evaluation",
        ),
        (
            lambda f: (f / "standard/student.keras").unlink(),
            ["--figures=surfaces"],
            "standard/student.ke",
        ),
        (lambda f: None, ["--figures=curves"], "no trainings: expected a run folder"),
        (
            lambda f: _set_target(f, "cifar10"),
            ["--nodownload", "--data_dir=/tmp/nothing-here", "--figures=surfaces"],
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


def _set(folder, **values):
    path = folder / "results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


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
