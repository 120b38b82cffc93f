"""An evaluation is believed for the networks that it is of."""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import shifted

from igam_tf import distribution, models
from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment, evaluated, reading, results
from igam_tf.experiment.folder import Folder

SETTINGS = {
    "source": "digits",
    "target": "digits_parity",
    "methods": ("standard", "igam"),
    "attacks": ("clean",),
    "seed": shifted(0),
}


def _network(units=2, **layers):
    """From an image of the digits to logits; other units, another network."""
    dense = [keras.layers.Dense(n, **layers) for n in (units, 2)]
    flatten = keras.layers.Flatten(**layers)
    return keras.Sequential([keras.Input((8, 8, 1)), flatten, *dense])


@pytest.fixture(name="run")
def _run(tmp_path):
    """Both rows are evaluated, with two networks that the panel transfers from."""
    folder = Folder(tmp_path)
    run = types.SimpleNamespace(
        experiment=Experiment(**SETTINGS),
        folder=folder,
        local_strategy=distribution.strategy("one"),
    )
    for name in ("standard/student.keras", "igam/student.keras", "finetuned.keras"):
        folder.save_model(_network(), name)
    for row in ("standard", "igam"):
        written = {
            "settings": run.experiment.evaluation.flags(),
            evaluated.KEY: evaluated.networks(run, row),
        }
        folder.write_json(f"{row}/evaluation.json", written)
    return run


def _believed(run):
    return [row for row in ("standard", "igam") if results.is_evaluated(run, row)]


def test_of_the_networks_that_are_there(run):
    assert _believed(run) == ["standard", "igam"]
    # A network that is gone was there: those who save space go on.
    (run.folder.path / "finetuned.keras").unlink()
    assert _believed(run) == ["standard", "igam"]


def test_a_student_that_was_made_anew_is_evaluated_anew(run):
    run.folder.save_model(_network(3), "igam/student.keras")
    assert _believed(run) == ["standard"]
    (run.folder.path / "igam" / "student.keras").unlink()
    assert _believed(run) == ["standard"]


def test_the_panel_tries_images_of_the_networks_that_are_there(run):
    run.folder.save_model(_network(3), "finetuned.keras")
    assert _believed(run) == []
    without = {**SETTINGS, "panel_examples": 0}
    run.experiment = Experiment(**without)
    for row in ("standard", "igam"):
        found = evaluated.networks(run, row)
        assert found["transfer_sources"] == {} and len(found["student"]) == 64


def test_a_row_that_is_added_leaves_the_others_as_they_are(run):
    path = run.folder.path / "igam" / "evaluation.json"
    written = json.loads(path.read_text())
    assert set(written[evaluated.KEY]["transfer_sources"]) == {"standard", "teacher"}
    del written[evaluated.KEY]["transfer_sources"]["standard"]
    path.write_text(json.dumps(written))
    assert "igam" in _believed(run)


def test_an_evaluation_of_an_earlier_version_is_believed(run):
    path = run.folder.path / "igam" / "evaluation.json"
    written = json.loads(path.read_text())
    del written[evaluated.KEY]
    path.write_text(json.dumps(written))
    run.folder.save_model(_network(3), "igam/student.keras")
    assert _believed(run) == ["standard", "igam"]


def test_networks_that_the_panel_transfers_from_compute_in_float32(run):
    run.folder.save_model(_network(dtype="mixed_float16"), "finetuned.keras")
    found = results.transfer_sources(run)
    assert set(found) == {"standard", "teacher"}
    assert {models.compute_dtype(model) for model in found.values()} == {"float32"}


def test_the_results_are_those_of_the_student_that_is_there(
    tmp_path, without_figures, eagerly
):
    experiment = Experiment(
        **{**SETTINGS, "methods": ("standard",)},
        train_examples=64,
        eval_examples=20,
        epochs=1,
        width=1,
        panel_examples=0,
        run_dir=str(tmp_path),
    )
    experiments.run(experiment)
    other = models.small_cnn(num_classes=2, filters=(2,), hidden_units=2)
    last = other.weights[-1]
    last.assign(tf.constant([0.0, 1e6]))
    Folder(tmp_path).save_model(other, "standard/student.keras")
    found = experiments.run(experiment)["rows"]["standard"]["evaluation"]
    labels = reading.read_target(experiment).test.labels
    odd = int((np.asarray(labels) == 1).sum())
    assert found["attacks"]["clean"]["num_correct"] == odd
    digest = Folder(tmp_path).digest_of("standard/student.keras")
    assert found[evaluated.KEY] == {"student": digest, "transfer_sources": {}}
