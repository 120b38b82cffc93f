"""Tables whose rows start from another row: gone on with, moved, of old versions."""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import small_models
from small_models import shifted

from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment, networks, starts
from igam_tf.experiment.folder import default_path
from igam_tf.experiment.table import Row, Table
from igam_tf.models.loading import load_keras

SMALL = {
    "target": "digits_parity",
    "train_examples": 64,
    "eval_examples": 20,
    "eval_batch_size": 20,
    "epochs": 1,
    "adversarial_steps": 1,
    "width": 1,
    "panel_examples": 0,
    "seed": shifted(0),
}


def _table(run_dir, attacks=("clean",)):
    settings = {**SMALL, "attacks": attacks}
    first = Experiment(**settings, methods=("standard",))
    second = Experiment(**settings, methods=("pgd",), student_checkpoint="row:a")
    return Table("t", "T", (Row("A", first), Row("B", second)), run_dir=str(run_dir))


@pytest.fixture(scope="module", name="finished")
def _finished(tmp_path_factory, no_figures):
    folder = tmp_path_factory.mktemp("starts") / "table"
    with small_models.eagerly(), no_figures():
        return folder, experiments.run_table(_table(folder))


@pytest.fixture(name="copied")
def _copied(finished, tmp_path, without_figures, eagerly):
    """The table, moved elsewhere."""
    return shutil.copytree(finished[0], tmp_path / "elsewhere", symlinks=True)


def _histories(folder):
    return {p: p.stat().st_mtime_ns for p in folder.rglob("history.csv")}


def _flags(folder, row):
    path = folder / default_path(_table("x").rows[row].experiment).name / "flags.json"
    return path, json.loads(path.read_text())


def test_what_is_recorded_is_the_name_of_the_row(finished):
    folder, results = finished
    _, flags = _flags(folder, 1)
    assert flags["settings"]["student_checkpoint"] == "row:a"
    assert flags["student_weights"]["file"] == "row:a"
    assert results["rows"]["b"]["settings"]["student_checkpoint"] == "row:a"
    (begun,) = (run for run, rows in _table(folder).runs() if rows[0].name == "b")
    begun = begun.replace(run_dir=str(folder / default_path(begun).name))
    start = load_keras(folder / results["rows"]["a"]["student"]).get_weights()
    for a, b in zip(networks.student(begun).get_weights(), start, strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_goes_on_where_it_was_moved_to_and_under_any_name(copied, monkeypatch):
    before = _histories(copied)
    experiments.run_table(_table(copied))
    monkeypatch.chdir(copied.parent)
    experiments.run_table(_table(os.path.join(".", copied.name)))
    assert _histories(copied) == before


def test_it_goes_on_with_another_attack(copied):
    """The card of the row that the other starts from is written anew."""
    before = _histories(copied)
    results = experiments.run_table(_table(copied, ("clean", "fgsm")))
    assert set(results["rows"]["b"]["evaluation"]["attacks"]) == {"clean", "fgsm"}
    assert _histories(copied) == before
    # And once more: what was recorded still holds.
    experiments.run_table(_table(copied))


def test_a_folder_of_an_earlier_version_goes_on(finished, copied):
    """It recorded a path, and the SHA-256 of the whole file."""
    student = finished[1]["rows"]["a"]["student"]
    first, _ = _table(copied).runs()[0]
    # With the card of its run, and not yet that of the table.
    experiments.run(first.replace(run_dir=str(copied / default_path(first).name)))
    path, flags = _flags(copied, 1)
    flags["settings"]["student_checkpoint"] = f"runs/once/{student}"
    whole = hashlib.sha256((copied / student).read_bytes()).hexdigest()
    flags["student_weights"] = {"file": f"runs/once/{student}", "sha256": whole}
    path.write_text(json.dumps(flags))
    (copied / starts.STUDENTS).unlink()
    before = _histories(copied)
    experiments.run_table(_table(copied))
    assert _histories(copied) == before
    flags["settings"]["student_checkpoint"] = "runs/once/other/pgd/student.keras"
    path.write_text(json.dumps(flags))
    with pytest.raises(ValueError, match="student_checkpoint: .*other/pgd"):
        experiments.run_table(_table(copied))


def test_a_row_that_is_not_finished_is_named(tmp_path):
    experiment = Experiment(
        **SMALL,
        methods=("pgd",),
        student_checkpoint="row:x",
        run_dir=str(tmp_path / "run"),
    )
    with pytest.raises(ValueError, match="--student_checkpoint=row:x: .*expected one"):
        starts.path(experiment)
