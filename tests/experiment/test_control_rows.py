"""Control rows from flag to table: their teachers, their names, and what is refused."""

import json

import keras
import numpy as np
import pytest
import small_models
from small_models import set_seed
from test_run import SMALL

from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment, networks
from igam_tf.experiment.controls import CONTROLS

EVERY = ("natural_teacher", "random_teacher", "zero", "same_class", "other_class")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, no_figures):
    experiment = Experiment(
        **{**SMALL, "epochs": 1, "teacher_epochs": 1, "finetune_epochs": 1},
        methods=("igam", "kdiga"),
        controls=tuple(CONTROLS),
        run_dir=str(tmp_path_factory.mktemp("controls")),
    )
    with no_figures(), small_models.eagerly():
        return experiment, experiments.run(experiment)


def weights(folder, stage):
    model = keras.models.load_model(f"{folder}/{stage}.keras", compile=False)
    return np.concatenate([w.ravel() for w in model.get_weights()])


def test_every_control_has_its_row(finished):
    experiment, results = finished
    wanted = [
        f"{method}{control}"
        for method in ("igam", "kdiga")
        for control in ("", *(f"-{name}" for name in EVERY))
    ]
    assert list(results["rows"]) == wanted == list(experiment.rows)
    assert results["rows"]["igam-zero"]["label"] == "IGAM, zero gradient"
    assert results["rows"]["kdiga-same_class"]["control_of"] == "kdiga"
    students = [weights(experiment.run.run_dir, f"{row}/student") for row in wanted]
    for i, one in enumerate(students):
        assert all((one != other).any() for other in students[:i])


def test_the_table_compares_with_the_best_control(finished):
    experiment, results = finished
    found = {entry["row"]: entry for entry in results["transfer"]}
    assert set(found) == {"igam", "kdiga"}
    for method, entry in found.items():
        controls = [results["rows"][f"{method}-{name}"] for name in EVERY]
        best = results["rows"][entry["best_control"]]["evaluation"]["attacks"]["pgd5"]
        accuracies = [
            row["evaluation"]["attacks"]["pgd5"]["accuracy"] for row in controls
        ]
        assert best["accuracy"] == max(accuracies)
        assert entry["comparison"]["num_examples"] == SMALL["eval_examples"]
    with open(f"{experiment.run.run_dir}/table.md") as file:
        assert "IGAM minus the best of its controls" in file.read()
    with open(f"{experiment.run.run_dir}/igam/student.card.md") as file:
        assert "minus the best of its controls" in file.read()
    with open(f"{experiment.run.run_dir}/igam-zero/student.card.md") as file:
        assert "A control of the row 'igam'" in file.read()


def test_other_teachers_are_the_robust_ones_network(finished):
    folder = finished[0].run_dir
    robust, natural, random = (
        weights(folder, f"teacher{name}")
        for name in ("", "-natural_teacher", "-random_teacher")
    )
    assert robust.shape == natural.shape == random.shape
    assert (robust != natural).any() and (natural != random).any()
    # The random one is the robust one before its training.
    fresh = experiments.Experiment(**SMALL)
    set_seed(0)
    assert networks.untrained_teacher(fresh).count_params() == len(random)


def test_finished_rows_are_not_made_again(finished, without_figures):
    experiment, before = finished
    again = experiments.run(experiment)
    assert json.dumps(again["rows"]) == json.dumps(before["rows"])


def test_a_teacher_of_a_file_has_controls_of_its_network(tmp_path):
    teacher = networks.teacher(Experiment(**SMALL))
    teacher.save(tmp_path / "mine.keras")
    experiment = Experiment(**SMALL, teacher_checkpoint=str(tmp_path / "mine.keras"))
    fresh = networks.untrained_teacher(experiment)
    assert fresh.count_params() == teacher.count_params()
    different = zip(fresh.get_weights(), teacher.get_weights(), strict=True)
    assert any((a != b).any() for a, b in different)


def test_a_fresh_teacher_keeps_how_its_images_are_normalized(tmp_path):
    images = np.random.default_rng(0).normal(5, 3, (32, 8, 8, 1)).astype("float32")
    layer = keras.layers.Normalization(axis=None)
    layer.adapt(images)
    inside = keras.Sequential([keras.Input((8, 8, 1)), layer])
    model = keras.Sequential(
        [inside, keras.layers.Flatten(), keras.layers.Dense(10, name="logits")]
    )
    model.save(tmp_path / "mine.keras")
    experiment = Experiment(**SMALL, teacher_checkpoint=str(tmp_path / "mine.keras"))
    fresh = networks.untrained_teacher(experiment)
    np.testing.assert_allclose(fresh.layers[0](images), layer(images), atol=1e-5)


@pytest.mark.parametrize(
    "controls, message",
    [(("nothing",), "'nothing' is unknown"), (("zero", "zero"), "once")],
)
def test_controls_that_are_refused(controls, message):
    with pytest.raises(ValueError, match=f"--controls.*{message}"):
        Experiment(**SMALL, controls=controls)


def test_each_row_begins_with_the_teacher_of_the_file(
    tmp_path, no_figures, monkeypatch
):
    """Also where the row before has moved its moving statistics."""
    from igam_tf.experiment import rows

    begun = []

    def fit(run, name, method, *args, **kwargs):
        del run, name, args, kwargs
        teacher = method.teacher
        begun.append([array.copy() for array in teacher.get_weights()])
        teacher.set_weights([array + 1 for array in teacher.get_weights()])

    monkeypatch.setattr(rows, "fit", fit)
    experiment = Experiment(
        **{**SMALL, "teacher_epochs": 1, "finetune_epochs": 1},
        methods=("igam", "kdiga"),
        teacher_batch_norm="batch",
        run_dir=str(tmp_path / "run"),
    )
    with no_figures(), small_models.eagerly():
        experiments.run(experiment)
    assert len(begun) == 2
    for first, second in zip(*begun, strict=True):
        np.testing.assert_array_equal(first, second)
