"""A whole table on real digits: one folder, shared teachers, nothing trained twice."""

import dataclasses
import json

import keras
import pytest
import small_models
from small_models import shifted

from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment
from igam_tf.experiment.table import Row, Table

SMALL = {
    "source": "digits",
    "target": "digits_parity",
    "train_examples": 64,
    "source_train_examples": 64,
    "eval_examples": 20,
    "teacher_optimizer": "adam",
    "teacher_epochs": 1,
    "teacher_steps": 1,
    "teacher_width": 1,
    "finetune_epochs": 1,
    "baseline_finetune_epochs": 1,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "epochs": 1,
    "matching_start": 0,
    "discriminator_channels": (4,),
    "width": 1,
    "adversarial_steps": 1,
    "attacks": ("clean", "pgd5"),
    "panel_examples": 0,
    "seed": shifted(0),
}


def _row(label, method, **settings):
    paper = {"clean": 90.0} if method == "igam" else {}
    return Row(label, Experiment(**SMALL, methods=(method,), **settings), (), paper)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    rows = (
        _row("Standard", "standard"),
        _row("IGAM, weak", "igam", difference_weight=0.0),
        _row("IGAM", "igam"),
    )
    folder = tmp_path_factory.mktemp("tables") / "table9-small"
    table = Table("table9", "Table 9", rows, "small", str(folder))
    with small_models.eagerly():
        return table, folder, experiments.run_table(table)


def _inode(folder, name, run):
    return (folder / run / name).stat().st_ino


def test_the_table_stands_in_one_folder(finished):
    _, folder, results = finished
    assert list(results["rows"]) == ["standard", "igam-weak", "igam"]
    stored = json.loads((folder / "results.json").read_text())
    assert stored["rows"] == results["rows"]
    assert stored["settings"]["epochs"] == 1
    assert "difference_weight" not in stored["settings"]
    assert stored["rows"]["igam-weak"]["settings"]["difference_weight"] == 0
    text = (folder / "table.md").read_text()
    assert text.startswith("### Table 9 (size small)")
    ours = 100 * stored["rows"]["igam"]["evaluation"]["attacks"]["clean"]["accuracy"]
    assert f"{ours:.1f} (90.0, {ours - 90:+.1f})" in text
    for row in stored["rows"].values():
        keras.models.load_model(folder / row["student"], compile=False)
    assert (folder / "surfaces.pdf").exists()


def test_experiments_share_what_is_equal(finished):
    _, folder, results = finished
    first, second = sorted(p.name for p in folder.iterdir() if p.is_dir())
    assert len({row["student"].split("/")[0] for row in results["rows"].values()}) == 2
    for name in ("teacher.keras", "teacher/history.csv", "finetuned.keras"):
        assert _inode(folder, name, first) == _inode(folder, name, second)
    assert _inode(folder, "igam/history.csv", first) != _inode(
        folder, "igam/history.csv", second
    )
    # Standard was asked of one of them only.
    assert len(list(folder.glob("*/standard/student.keras"))) == 1


def test_a_table_beside_it_trains_only_what_is_new(finished, without_figures, eagerly):
    table, folder, results = finished
    rows = (_row("Standard", "standard", kdiga_weight=1.0), *table.rows[:1])
    rows = (rows[0], dataclasses.replace(rows[1], label="Again"), table.rows[2])
    beside = folder.parent / "table8-small"
    again = experiments.run_table(
        Table("table8", "Table 8", rows, "small", str(beside))
    )
    first = {"standard": "standard", "again": "standard", "igam": "igam"}
    for name, row in again["rows"].items():
        linked = (beside / row["student"]).with_name("history.csv")
        trained = folder / results["rows"][first[name]]["student"]
        assert linked.stat().st_ino == trained.with_name("history.csv").stat().st_ino


def test_a_finished_table_is_not_repeated(finished, without_figures, eagerly):
    table, folder, results = finished
    histories = {p: p.stat().st_mtime_ns for p in folder.rglob("history.csv")}
    assert experiments.run_table(table)["rows"] == results["rows"]
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("history.csv")} == histories


def test_several_machines_are_refused(finished, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="one machine"):
        experiments.run_table(finished[0])
