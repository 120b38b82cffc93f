"""Whole runs: to the table, interrupted, repeated, with bad input, on real images."""

import csv
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest
from small_models import shifted

import igam_tf
from igam_tf import experiment as experiments
from igam_tf.cli import recipes
from igam_tf.experiment import Experiment, teacher
from igam_tf.experiment import results as run_results
from igam_tf.reports.names import OF_A_RUN
from igam_tf.training import callbacks
from igam_tf.training.methods import METHODS

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SMALL = {
    "source": "digits",
    "target": "digits_parity",
    "train_examples": 96,
    "source_train_examples": 96,
    "eval_examples": 40,
    "teacher_optimizer": "adam",
    "teacher_learning_rate": 2e-3,
    "teacher_epochs": 2,
    "teacher_eps": 0.15,
    "teacher_step_size": 0.05,
    "teacher_steps": 2,
    "finetune_epochs": 2,
    "baseline_finetune_epochs": 3,
    "optimizer": "adam",
    "learning_rate": 2e-3,
    "epochs": 3,
    "matching_start": 0.3,
    "discriminator_channels": (4,),
    "width": 1,
    "teacher_width": 1,
    "eps": 0.15,
    "step_size": 0.05,
    "adversarial_steps": 2,
    "attacks": ("clean", "fgsm", "pgd5"),
    "panel_examples": 0,
    "seed": shifted(0),
}


def _command(*flags):
    return [sys.executable, str(REPOSITORY / "run.py"), *flags]


def _flags(settings, run_dir):
    flags = [f"--run_dir={run_dir}"]
    for name, value in settings.items():
        value = ",".join(map(str, value)) if isinstance(value, tuple) else value
        flags.append(f"--{name}={value}")
    return flags


def _weights(path):
    return keras.models.load_model(path, compile=False).get_weights()


@pytest.fixture(scope="module", name="finished")
def _finished(tmp_path_factory):
    """A finished small run: its folder and results."""
    folder = tmp_path_factory.mktemp("finished")
    experiment = Experiment(**SMALL, run_dir=str(folder))
    return folder, experiments.run(experiment, changes=["epochs 3 (recipe: 40)"])


@pytest.fixture
def copied(finished, tmp_path, without_figures):
    """The same for a test that changes the folder: tests may run in any order."""
    folder, results = finished
    return shutil.copytree(folder, tmp_path / "copied"), results


def test_the_folder_holds_everything(finished):
    folder, results = finished
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {
        "flags.json", "digests.json", "results.json", "table.md", "report.html",
        *(f"{figure}.{kind}"
          for figure in ("input_gradients", "surfaces", "bars", "curves")
          for kind in ("png", "pdf")),
        "teacher.keras", "teacher/history.csv", "finetuned.keras",
        "finetuned/history.csv",
        *(f"{row}/{file}" for row in ("standard", "finetune", "igam", "pgd")
          for file in ("student.keras", "student.card.md", "history.csv",
                       "evaluation.json")),
    }  # fmt: skip
    stored = json.loads((folder / "results.json").read_text())
    assert stored["rows"] == results["rows"]
    assert stored["settings"]["adversarial_weight"] == 2.0
    assert set(stored["versions"]) == {
        "igam_tf",
        "tensorflow",
        "keras",
        "numpy",
        "python",
    }
    table = (folder / "table.md").read_text()
    assert "Not the recipe: epochs 3 (recipe: 40)." in table
    for row in results["rows"].values():
        assert row["label"] in table
        assert row["training_seconds"] > 0
        assert set(row["evaluation"]["attacks"]) == {"clean", "fgsm", "pgd5"}


def test_students_carry_their_cards(finished):
    folder, results = finished
    _, card = igam_tf.load(folder / "igam" / "student.keras")
    found = results["rows"]["igam"]["evaluation"]["attacks"]["pgd5"]["accuracy"]
    assert card["method"] == {"name": "igam", "label": "IGAM"}
    assert card["results"]["attacks"]["pgd5"]["accuracy"] == found


def test_results_are_those_of_the_saved_student(finished):
    folder, results = finished
    from igam_tf import data

    test = data.read("digits_parity", test_examples=40).test
    for row, described in results["rows"].items():
        path = folder / row / "student.keras"
        student = keras.models.load_model(path, compile=False)
        right = student(test.images).numpy().argmax(1) == test.labels
        found = described["evaluation"]["attacks"]["clean"]
        assert (found["num_correct"], found["num_examples"]) == (right.sum(), 40)


def test_rows_of_one_network_are_evaluated_in_one_model():
    def network(*layers, units=3):
        images = keras.Input((2,), name="images")
        logits = keras.layers.Dense(units, name="logits")
        return keras.Sequential([images, *layers, logits], name="network")

    run = types.SimpleNamespace(traced={})
    models = [network(), network()]
    expected = models[1].get_weights()
    assert all(run_results._in_traced(run, model) is models[0] for model in models)
    for a, b in zip(models[0].get_weights(), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    # Another network, and random layers, whose state would be that of an earlier row.
    dropout = [keras.layers.Dropout(0.5, name="dropout")]
    # Nor one whose compiled attacks would keep another row's mean and variance.
    normalize = [keras.layers.Normalization(name="normalize")]
    others = [network(*normalize), network(*normalize)]
    for model in (network(units=4), network(*dropout), network(*dropout), *others):
        assert run_results._in_traced(run, model) is model


def test_a_finished_run_is_not_repeated(finished):
    folder, results = finished
    kept = [*folder.rglob("*.keras"), folder / "report.html", folder / "bars.png"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    again = experiments.run(Experiment(**SMALL, run_dir=str(folder)))
    assert before == {path: path.stat().st_mtime_ns for path in kept}
    assert again["rows"] == results["rows"]
    assert again["changes"] == ["epochs 3 (recipe: 40)"]


def test_a_figure_that_was_taken_away_is_drawn_again(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished[0], tmp_path / "copied")
    given, drawn = Experiment(**SMALL, run_dir=str(folder)), []

    def write_figures(*args, **kwargs):
        drawn.append(args)
        for name in OF_A_RUN:
            (folder / f"{name}.png").touch()

    monkeypatch.setattr("igam_tf.reports.write_figures", write_figures)
    monkeypatch.setattr("igam_tf.reports.examples_of", lambda *args: drawn.append(args))
    monkeypatch.setattr(
        "igam_tf.reports.write_page", lambda page, *args, **kwargs: page.touch()
    )
    # Another folder is another setting, which the page shows.
    experiments.run(given)
    assert len(drawn) == 2
    experiments.run(given)
    assert len(drawn) == 2
    (folder / "bars.png").unlink()
    experiments.run(given)
    assert len(drawn) == 4


def test_a_teacher_is_not_trained_for_rows_that_are_finished(copied):
    folder, results = copied
    for name in ("teacher.keras", "finetuned.keras"):
        (folder / name).unlink()
    again = experiments.run(Experiment(**SMALL, run_dir=str(folder)))
    assert again["rows"] == results["rows"]
    assert not (folder / "teacher.keras").exists()


def test_a_row_can_be_added_and_other_settings_are_refused(copied):
    folder, _ = copied
    with pytest.raises(ValueError, match="--learning_rate: 0.002 there, 0.01 now"):
        settings = {**SMALL, "learning_rate": 0.01}
        experiments.run(Experiment(**settings, run_dir=str(folder)))
    fewer = Experiment(**SMALL, run_dir=str(folder), methods=("igam",))
    assert set(experiments.run(fewer)["rows"]) == {
        "standard",
        "finetune",
        "igam",
        "pgd",
    }


def test_every_other_method_adds_its_row(copied):
    folder, results = copied
    more = tuple(m for m in METHODS if m not in results["rows"])
    settings = {**SMALL, "methods": more, "epochs": 3, "attacks": ("clean",)}
    found = experiments.run(Experiment(**settings, run_dir=str(folder)))
    assert set(found["rows"]) == set(METHODS)
    for method in more:
        history = (folder / method / "history.csv").read_text().splitlines()
        assert len(history) == 4 and "nan" not in "".join(history)
    # The row gradient_norm starts where the row standard ended.
    first = (folder / "gradient_norm" / "history.csv").read_text().splitlines()
    losses = [float(row["cross_entropy"]) for row in csv.DictReader(first)]
    start = (folder / "standard" / "history.csv").read_text().splitlines()
    assert losses[0] < float(list(csv.DictReader(start))[0]["cross_entropy"])


def test_targets_of_scores_are_made_once(tmp_path, without_figures, eagerly):
    settings = {**SMALL, "methods": ("pag",), "attacks": ("clean",), "epochs": 1}
    settings.update(pag_targets="sbg", score_epochs=1, run_dir=str(tmp_path))
    results = experiments.run(Experiment(**settings))
    assert list(results["rows"]) == ["pag"]
    targets = np.load(tmp_path / "pag" / "targets.npy", mmap_mode="r")
    assert targets.shape == (96, 2, 8, 8, 1) and np.isfinite(targets).all()
    shutil.rmtree(tmp_path / "pag" / "checkpoints", ignore_errors=True)
    (tmp_path / "pag" / "student.keras").unlink()
    kept = [tmp_path / "score_network.keras", tmp_path / "pag" / "targets.npy"]
    before = [path.stat().st_mtime_ns for path in kept]
    experiments.run(Experiment(**settings))
    assert before == [path.stat().st_mtime_ns for path in kept]


def test_a_finetuning_that_is_the_same_is_run_once(
    tmp_path, without_figures, eagerly, monkeypatch
):
    trained, fit = [], teacher.fit
    monkeypatch.setattr(
        teacher, "fit", lambda run, stage, *a, **k: trained.append(stage) or
        fit(run, stage, *a, **k),
    )  # fmt: skip
    settings = {**SMALL, "teacher_epochs": 1, "epochs": 1, "attacks": ("clean",)}
    settings.update(finetune_epochs=2, baseline_finetune_epochs=2)
    for folder, methods in (("a", ("finetune", "igam")), ("b", ("igam",))):
        given = {**settings, "methods": methods, "run_dir": str(tmp_path / folder)}
        experiments.run(Experiment(**given))
    assert trained == ["teacher", "finetune", "teacher", "finetuned"]
    expected = _weights(tmp_path / "b" / "finetuned.keras")
    for name in ("finetuned.keras", "finetune/student.keras"):
        for a, b in zip(_weights(tmp_path / "a" / name), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len((tmp_path / "a/finetuned/history.csv").read_text().splitlines()) == 3
    for a, b in zip(
        _weights(tmp_path / "a" / "igam" / "student.keras"),
        _weights(tmp_path / "b" / "igam" / "student.keras"),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("network, depth", [("preact_resnet", 10), ("vit", 1)])
def test_other_networks_are_teacher_and_student(tmp_path, network, depth, request):
    settings = {**SMALL, "methods": ("igam",), "attacks": ("clean",), "epochs": 1}
    settings.update(student_model=network, teacher_model=network)
    settings.update(depth=depth, teacher_depth=depth, teacher_epochs=1)
    if network == "vit":
        settings.update(panel_examples=8, attacks=("clean", "fgsm"))
    else:
        request.getfixturevalue("without_figures")
    results = experiments.run(Experiment(**settings, run_dir=str(tmp_path)))
    assert list(results["rows"]) == ["igam"]
    panel = results["rows"]["igam"]["evaluation"].get("panel")
    assert (network == "vit") == bool(panel and panel["checks"])


def test_a_finished_run_is_evaluated_anew_with_other_attacks(copied):
    folder, results = copied
    before = (folder / "igam" / "student.keras").stat().st_mtime_ns
    settings = {**SMALL, "attacks": ("clean", "pgd3"), "run_dir": str(folder)}
    anew = experiments.run(Experiment(**settings))
    found = anew["rows"]["igam"]["evaluation"]
    assert set(found["attacks"]) == {"clean", "pgd3"}
    # The record says what was evaluated last.
    assert list(anew["settings"]["attacks"]) == ["clean", "pgd3"]
    assert (folder / "igam" / "student.keras").stat().st_mtime_ns == before
    again = experiments.run(Experiment(**SMALL, run_dir=str(folder)))
    clean = [
        r["rows"]["igam"]["evaluation"]["attacks"]["clean"] for r in (again, results)
    ]
    assert clean[0]["num_correct"] == clean[1]["num_correct"]


def test_a_killed_run_goes_on_to_the_same_weights(
    tmp_path, without_figures, rewritten_graphs
):
    """Ctrl-C in the middle of IGAM's training, then the same command again."""
    settings = {**SMALL, "methods": ("igam",)}
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    given = _flags(settings, tmp_path / "killed")
    killed = subprocess.Popen(
        _command("--flagfile=flags/quickstart.cfg", *given),
        cwd=REPOSITORY,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    checkpoint = tmp_path / "killed" / "igam" / "checkpoints" / "epoch-0001.weights.h5"
    deadline = time.monotonic() + 240
    while not checkpoint.exists() and killed.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGINT)
    _, errors = killed.communicate(timeout=240)
    finished_early = (tmp_path / "killed" / "igam" / "student.keras").exists()
    if not finished_early:
        assert killed.returncode == 1
        assert "The same command goes on" in errors and "Traceback" not in errors
    given = _run_settings(tmp_path / "killed")
    experiments.run(given)
    experiments.run(given.replace(run_dir=str(tmp_path / "straight")))
    for a, b in zip(
        _weights(tmp_path / "killed" / "igam" / "student.keras"),
        _weights(tmp_path / "straight" / "igam" / "student.keras"),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def _run_settings(folder):
    """The settings a run folder was made with."""
    settings = json.loads((folder / "flags.json").read_text())["settings"]
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return Experiment(**tuples)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"input_transform": "center_crop+resize+rotate"}, "--input_transform.*rotate"),
        ({"teacher_checkpoint": "/nowhere/adv_trained"}, "/nowhere/adv_trained"),
        ({"run_dir": "/proc/igam"}, "--run_dir: cannot write to /proc/igam"),
        ({"devices": 64}, "--devices.*64"),
        ({"devices": 2, "batch_size": 1}, "--batch_size=1.*2 replicas"),
        (
            {"source": "cifar10", "data_dir": "/nowhere", "download": False},
            "--data_dir",
        ),
    ],
)
def test_bad_input_is_one_error_before_any_training(tmp_path, change, message):
    settings = {**SMALL, "run_dir": str(tmp_path), **change}
    with pytest.raises((ValueError, OSError), match=message):
        experiments.run(Experiment(**settings))
    # Nothing is left that would refuse the corrected command.
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_room_on_the_disk(tmp_path, monkeypatch):
    full = shutil._ntuple_diskusage(10**9, 10**9, 1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(OSError, match="GB free"):
        experiments.run(Experiment(**SMALL, run_dir=str(tmp_path)))


def test_divergence_names_the_step(tmp_path):
    settings = {**SMALL, "methods": ("standard",), "learning_rate": 1e30}
    with pytest.raises(callbacks.TrainingDivergedError, match="epoch"):
        experiments.run(Experiment(**settings, run_dir=str(tmp_path)))


def test_mnist_to_cifar10_on_real_images(tfds_dir, tmp_path, eagerly):
    """The recipe of the paper at a small size: transform, window, table, picture."""
    small = {
        "data_dir": tfds_dir, "run_dir": tmp_path, "source_train_examples": 128,
        "train_examples": 64, "eval_examples": 32, "teacher_epochs": 1,
        "teacher_steps": 2, "teacher_step_size": 0.15, "finetune_epochs": 1,
        "baseline_finetune_epochs": 1, "depth": 8, "width": 1, "epochs": 2,
        "matching_start": 0.5, "attacks": "clean,pgd5", "panel_examples": 0,
    }  # fmt: skip
    flags = [f"--{name}={value}" for name, value in small.items()]
    given, changes = recipes.parse(["--source=mnist", "--target=cifar10", *flags])
    experiments.run(given, changes=tuple(changes))
    results = json.loads((tmp_path / "results.json").read_text())
    assert list(results["rows"]) == ["standard", "finetune", "igam", "pgd"]
    assert "train_examples 64 (recipe: all)" in results["changes"]
    history = (tmp_path / "igam" / "history.csv").read_text().splitlines()
    cosine = history[0].split(",").index("gradient_cosine")
    assert float(history[1].split(",")[cosine]) == 0.0
    assert float(history[2].split(",")[cosine]) != 0.0
    assert (tmp_path / "input_gradients.png").stat().st_size > 10_000


def test_a_madrylab_checkpoint_is_a_teacher(
    shared_dir, tfds_dir, tmp_path, without_figures, eagerly
):
    """A TF1 folder as it was written: loaded, finetuned, matched."""
    checkpoint = shared_dir / "golden" / "cifar_madry_narrow"
    settings = {
        "source": "cifar10", "target": "cifar100", "data_dir": str(tfds_dir),
        "teacher_checkpoint": str(checkpoint), "methods": ("igam",),
        "train_examples": 64, "eval_examples": 32, "finetune_epochs": 1, "epochs": 1,
        "depth": 8, "width": 1, "matching_start": 0.0, "attacks": ("clean",),
        "panel_examples": 0,
    }  # fmt: skip
    experiments.run(Experiment(**settings, run_dir=str(tmp_path / "run")))
    from igam_tf import checkpoints

    original = checkpoints.load_madry(checkpoint).get_weights()
    finetuned = keras.models.load_model(
        tmp_path / "run" / "finetuned.keras", compile=False
    )
    kept = finetuned.get_layer("frozen_teacher").get_weights()
    for a, b in zip(original, kept, strict=False):
        np.testing.assert_array_equal(a, b)
    wrong = {**settings, "source": "mnist", "run_dir": str(tmp_path / "wrong")}
    with pytest.raises(ValueError, match="--teacher_checkpoint=.*--source=mnist"):
        experiments.run(Experiment(**wrong))
