"""Students of one's own, and teachers without the data of their own task."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf import experiment as experiments
from igam_tf.cli import recipes
from igam_tf.data import registry
from igam_tf.experiment import Experiment, networks, own_networks, teacher_check
from igam_tf.experiment.folder import default_path

PARITY = registry.find("digits_parity")
_SMALL = {
    "target": "digits_parity", "train_examples": 64, "eval_examples": 20,
    "epochs": 1, "baseline_finetune_epochs": 1, "attacks": ("clean",),
    "panel_examples": 0, "methods": ("standard", "finetune"),
}  # fmt: skip


def settings(**more):
    return {"source": "digits", **_SMALL, **more}


def network(*last, num_classes=2, shape=(8, 8, 1)):
    """What `module:function` calls, too."""
    dense = keras.layers.Dense(num_classes)
    layers = [keras.Input(shape), keras.layers.Flatten(), dense]
    return keras.Sequential([*layers, *last])


def small(*, num_classes, image_shape):
    return network(num_classes=num_classes, shape=image_shape)


def broken(*, num_classes, image_shape):
    return {}["nothing"]


def test_a_function():
    found = networks.student(
        Experiment(**settings(student_model=f"{__name__}:small", width=7, depth=3))
    )
    assert found.input_shape == (None, 8, 8, 1) and found.output_shape == (None, 2)


def test_a_file_brings_its_weights(tmp_path):
    saved = network()
    for name in ("mine.keras", "mine.h5"):
        saved.save(tmp_path / name)
        found = own_networks.build(str(tmp_path / name), PARITY)
        for a, b in zip(found.get_weights(), saved.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "more, words",
    [
        ({"student_model": "resnet50"}, "--student_model='resnet50'.*vit.*module:fun"),
        (
            {"student_model": "a.keras", "precision": "mixed_bfloat16"},
            "a network from a file computes as it was saved",
        ),
        ({"source": ""}, "--source is not given.*--teacher_checkpoint"),
        (
            {"source": "", "teacher_checkpoint": "x", "controls": ("natural_teacher",)},
            "--controls=natural_teacher trains a teacher on --source",
        ),
        ({"teacher_input_range": "0,255"}, "without --teacher_checkpoint"),
        (
            {"teacher_checkpoint": "x.keras", "teacher_input_range": "255"},
            "--teacher_input_range='255': expected two numbers",
        ),
    ],
)
def test_refused_before_anything_is_read(more, words):
    with pytest.raises(ValueError, match=words):
        Experiment(**settings(**more))


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: network(num_classes=3), "has 3 classes.*digits_parity has 2"),
        (lambda: network(shape=(9, 9, 1)), r"of shape \(9, 9, 1\).*\(8, 8, 1\)"),
        (lambda: network(keras.layers.Softmax()), "ends in a softmax"),
    ],
)
def test_files_that_do_not_fit(make, words, tmp_path):
    path = tmp_path / "mine.keras"
    make().save(path)
    with pytest.raises(ValueError, match=f"--student_model=.*mine.keras: .*{words}"):
        own_networks.build(str(path), PARITY)


@pytest.mark.parametrize(
    "name, kind, words",
    [
        ("no_such_module_at_all:f", ValueError, "no module.*--import=FILE.py"),
        (f"{__name__}:missing", ValueError, "has no 'missing'"),
        (f"{__name__}:broken", ValueError, "called with .*KeyError: 'nothing'"),
        (f"{__name__}:settings", ValueError, "unexpected keyword|dict"),
        ("nowhere.keras", FileNotFoundError, "no such file"),
    ],
)
def test_names_that_lead_nowhere(name, kind, words):
    with pytest.raises(kind, match=f"--student_model=.*{words}"):
        own_networks.build(name, PARITY)


class NoSecondDerivative(keras.layers.Layer):
    """TensorFlow has none of this one."""

    def call(self, inputs):
        return tf.nn.local_response_normalization(inputs)


def test_what_methods_will_ask_of_it_is_asked_before_a_teacher_is_trained():
    layers = [NoSecondDerivative(), keras.layers.Flatten(), keras.layers.Dense(2)]
    student = keras.Sequential([keras.Input((8, 8, 1)), *layers])
    experiment = Experiment(**settings(student_model="a:b"))
    standard, igam = (experiment.settings_of(name) for name in ("standard", "igam"))
    assert own_networks.check_row(experiment, student, standard) == ""
    with pytest.raises(ValueError, match="--student_model=a:b.*second derivative"):
        own_networks.check_row(experiment, student, igam)


def test_losses_of_its_own_are_told():
    dense = keras.layers.Dense(2, kernel_regularizer="l2")
    student = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), dense])
    experiment = Experiment(**settings(student_model="a:b"))
    said = own_networks.check_row(
        experiment, student, experiment.settings_of("standard")
    )
    assert "adds 1 losses of its own" in said


def test_the_teachers_pixels(tmp_path):
    teacher, weights, bias = linear_model((8, 8, 1), num_classes=10)
    teacher.save(tmp_path / "grey.keras")
    experiment = Experiment(
        **settings(
            teacher_checkpoint=str(tmp_path / "grey.keras"),
            teacher_input_range="0,255",
        )
    )
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype("float32")
    expected = 255 * images.reshape(2, -1) @ weights + bias
    found = networks.loaded_teacher(experiment)
    np.testing.assert_allclose(found(images), expected, rtol=1e-3, atol=1e-2)
    measured = teacher_check.measure(experiment.replace(source=""), found)
    assert not measured["measured"] and "no --source" in measured["reason"]


def test_the_recipe_where_there_is_no_source():
    experiment, changes = recipes.parse(
        ["--target=digits_parity", "--teacher_checkpoint=models/robust.keras"]
    )
    assert experiment.data.source == "" and experiment.source_name == "robust.keras"
    assert changes[0].startswith(recipes.DEFAULT)
    # They stand in cards, which travel: no path of this machine.
    assert "teacher_checkpoint robust.keras (recipe: none)" in changes
    assert default_path(experiment).name.startswith("robust.keras_to_digits_parity-")
    with pytest.raises(ValueError, match="Pass --source and --target"):
        recipes.parse(["--teacher_checkpoint=models/robust.keras"])


def test_a_run_of_networks_of_ones_own(tmp_path, capsys):
    """A teacher without its data, a student from a file: table, card and resumption."""
    network().save(tmp_path / "mine.keras")
    linear_model((8, 8, 1), num_classes=5)[0].save(tmp_path / "robust.keras")
    experiment = Experiment(
        **_SMALL,
        student_model=str(tmp_path / "mine.keras"),
        teacher_checkpoint=str(tmp_path / "robust.keras"),
        run_dir=str(tmp_path / "run"),
    )
    results = experiments.run(experiment)
    assert "its accuracy was not measured: no --source" in capsys.readouterr().out
    assert results["title"] == "robust.keras -> digits_parity"
    assert len(results["student_network"]["sha256"]) == 64
    card = (tmp_path / "run" / "standard" / "student.card.md").read_text()
    assert "--student_model=mine.keras" in card and str(tmp_path) not in card
    trained = keras.saving.load_model(tmp_path / "run" / "standard" / "student.keras")
    assert trained.count_params() == network().count_params()
    # The same again makes nothing anew, and says so; another file is refused.
    assert experiments.run(experiment)["rows"] == json.loads(
        json.dumps(results["rows"])
    )
    said = capsys.readouterr().out
    assert "Finished already, and not done again: standard, finetune, eval" in said
    network().save(tmp_path / "mine.keras")
    with pytest.raises(ValueError, match="--student_model=.*not the one that the run"):
        experiments.run(experiment)
