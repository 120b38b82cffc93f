"""Students that start from weights of a file, and from some natural training."""

import json

import keras
import numpy as np
import pytest
from small_models import set_seed

from igam_tf import checkpoints, models
from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment, initial_weights, networks
from igam_tf.experiment.plan import plan

SHAPE = {"image_shape": (8, 8, 1), "filters": (4,), "hidden_units": 4}
DIGITS = {
    "source": "digits", "target": "digits_parity", "eps": 0.15, "step_size": 0.05,
    "student_model": "small_cnn", "width": 1,
}  # fmt: skip


def _network(seed, *, num_classes=3, activation="relu", **shape):
    set_seed(seed)
    return models.small_cnn(
        num_classes=num_classes, activation=activation, **{**SHAPE, **shape}
    )


@pytest.mark.fast
@pytest.mark.parametrize("name", ["a.keras", "a.h5", "a.weights.h5"])
def test_weights_of_another_activation(name, tmp_path):
    pretrained, student = _network(1), _network(2, activation="silu")
    path = str(tmp_path / name)
    (pretrained.save_weights if "weights" in name else pretrained.save)(path)
    initial_weights.load(student, path)
    for a, b in zip(student.get_weights(), pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.fast
def test_other_classes_keep_the_logits_as_they_were_drawn(tmp_path):
    pretrained, student = _network(1, num_classes=7), _network(2)
    pretrained.save(tmp_path / "a.keras")
    drawn = student.get_weights()
    initial_weights.load(student, str(tmp_path / "a.keras"))
    *body, kernel, bias = student.get_weights()
    for a, b in zip(body, pretrained.get_weights()):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(kernel, drawn[-2])
    np.testing.assert_array_equal(bias, drawn[-1])


def test_a_checkpoint_of_tensorflow_1(tmp_path):
    size = {"depth": 8, "width": 1, "num_classes": 3, "image_shape": (8, 8, 3)}
    set_seed(1)
    pretrained = models.wide_resnet(**size)
    checkpoints.save_tf1(pretrained, tmp_path / "model", part="student")
    set_seed(2)
    student = models.wide_resnet(**size, activation="silu")
    initial_weights.load(student, str(tmp_path / "model"))
    for a, b in zip(student.get_weights(), pretrained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("normalization", ["none", "standardize", "unit_norm"])
def test_weights_behind_another_normalization_are_refused(normalization, tmp_path):
    path = str(tmp_path / "a.keras")
    size = {"depth": 8, "width": 1, "num_classes": 3, "image_shape": (8, 8, 3)}
    models.wide_resnet(**size, normalization=normalization).save(path)
    student = models.wide_resnet(**size, normalization=normalization)
    initial_weights.load(student, path)
    words = "something else to images .*mean .* there, and mean .* here"
    with pytest.raises(ValueError, match=f"--student_checkpoint=.*{words}"):
        initial_weights.load(models.wide_resnet(**size), path)


def test_a_checkpoint_of_tensorflow_1_behind_another_normalization(tmp_path):
    """MadryLab's networks standardize, and students here do not."""
    size = {"depth": 8, "width": 1, "num_classes": 3, "image_shape": (8, 8, 3)}
    teacher = models.wide_resnet(**size, normalization="standardize")
    with pytest.warns(UserWarning, match="load it with image_shape"):
        checkpoints.save_tf1(teacher, tmp_path / "model")
    initial_weights.load(teacher, str(tmp_path / "model"))
    words = "something else to images.*normalization='standardize'; if yours"
    with pytest.raises(ValueError, match=words):
        initial_weights.load(models.wide_resnet(**size), str(tmp_path / "model"))


def test_it_is_told_where_the_normalization_is_not_known(tmp_path):
    _network(1).save_weights(tmp_path / "a.weights.h5")
    with pytest.warns(UserWarning, match="--student_checkpoint=.*not known .*only"):
        initial_weights.load(_network(2), str(tmp_path / "a.weights.h5"))
    size = {"depth": 8, "width": 1, "num_classes": 3}
    larger = models.wide_resnet(**size, image_shape=(16, 16, 3))
    larger.save(tmp_path / "a.keras")
    student = models.wide_resnet(**size, image_shape=(8, 8, 3))
    with pytest.warns(UserWarning, match=r"not known .*\(16, 16, 3\)"):
        initial_weights.load(student, str(tmp_path / "a.keras"))


def test_a_row_of_another_normalization_is_named_before_anything_is_trained(tmp_path):
    """The row pag has none inside of its students; the row standard has one."""
    settings = {**DIGITS, "student_model": "wide_resnet", "depth": 8}
    settings["run_dir"] = str(tmp_path / "run")
    path = str(tmp_path / "a.keras")
    networks.student(Experiment(**settings)).save(path)
    experiment = Experiment(
        **settings, methods=("standard", "pag"), student_checkpoint=path
    )
    words = "^The row pag: --student_checkpoint=.*something else to images"
    with pytest.raises(ValueError, match=words):
        experiments.run(experiment)
    assert not list((tmp_path / "run").rglob("history.csv"))


def test_a_layer_that_normalises_starts_with_the_statistics_of_the_file(tmp_path):
    def network(mean):
        layer = keras.layers.Normalization(name="normalization")
        layer.adapt(np.array([mean - 2, mean + 2.0]).reshape(2, 1, 1, 1))
        dense = keras.layers.Dense(2, name="logit")
        return keras.Sequential(
            [keras.Input((2, 2, 1)), layer, keras.layers.Flatten(), dense]
        )

    pretrained, student = network(5), network(0)
    pretrained.save(tmp_path / "a.keras")
    initial_weights.load(student, str(tmp_path / "a.keras"))
    images = np.random.default_rng(0).random((3, 2, 2, 1))
    np.testing.assert_allclose(student(images), pretrained(images), atol=1e-5)


def _poisoned(path):
    network = _network(1)
    network.set_weights([np.full_like(w, np.nan) for w in network.get_weights()])
    network.save(path)


@pytest.mark.fast
@pytest.mark.parametrize(
    "name, make, kind, words",
    [
        ("a.keras", lambda path: None, FileNotFoundError, "no such file"),
        ("a.weights.h5", lambda path: None, FileNotFoundError, "no such file"),
        ("a.keras", lambda path: path.write_text("x"), ValueError, "a.keras"),
        (
            "a.weights.h5",
            lambda path: _network(1, hidden_units=5).save_weights(path),
            ValueError,
            "no weights of the student.*check --student_model",
        ),
        (
            "a.keras",
            lambda path: _network(1, filters=(4, 4)).save(path),
            ValueError,
            "is not the student .*there, .*here.*check --student_model",
        ),
        ("a.keras", _poisoned, ValueError, "NaN or infinite"),
    ],
)
def test_other_files_are_refused_and_change_nothing(name, make, kind, words, tmp_path):
    student, path = _network(2), tmp_path / name
    before = student.get_weights()
    make(path)
    with pytest.raises(kind, match=f"--student_checkpoint=.*{words}"):
        initial_weights.load(student, str(path))
    for a, b in zip(student.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_network_of_ones_own_with_another_activation(tmp_path):
    _network(1, num_classes=2).save(tmp_path / "mine.keras")
    settings = {**DIGITS, "student_model": str(tmp_path / "mine.keras")}
    found = networks.student(Experiment(**settings, activation="silu"))
    used = {
        layer.activation.__name__
        for layer in found.layers
        if isinstance(layer, keras.layers.Activation)
    }
    assert used == {"silu"}


def _stages(**flags):
    return {stage.name: stage for stage in plan(Experiment(**DIGITS, **flags))}


@pytest.mark.fast
def test_rows_start_from_one_natural_training():
    methods = ("standard", "gradient_norm", "pag", "pgd")
    found = _stages(methods=methods, natural_finetune_epochs=2)
    usual, plain = "natural_start-zero_mean_unit_norm", "natural_start-none"
    assert list(found)[:4] == [usual, "standard", "gradient_norm", plain]
    assert found["standard"].inputs == found["pgd"].inputs == (usual,)
    assert found["pag"].inputs == (plain,)
    # It starts from the row standard unless it is told not to.
    assert found["gradient_norm"].inputs == ("standard",)
    found = _stages(
        methods=methods, natural_finetune_epochs=2, gradient_norm_start="scratch"
    )
    assert found["gradient_norm"].inputs == (usual,)
    # Nothing that comes after it changes it.
    flags = found[usual].own_flags
    assert {"learning_rate", "mixup", "student_checkpoint"} <= flags
    assert not {"epochs", "gradient_norm_eps", "eps", "teacher_epochs"} & flags
    assert not any("natural" in name for name in _stages(methods=methods))


def test_a_run_that_swaps_activations_finetunes_and_then_trains(
    tmp_path, capsys, without_figures
):
    experiment = Experiment(
        **{**DIGITS, "student_model": "small_cnn"},
        methods=("gradient_norm",),
        gradient_norm_start="scratch",
        activation="silu",
        natural_finetune_epochs=1,
        student_checkpoint=str(tmp_path / "relu.keras"),
        optimizer="adamw",
        learning_rate=1e-3,
        learning_rate_schedule="cosine",
        learning_rate_warmup=0.5,
        weights_ema=0.5,
        label_smoothing=0.1,
        train_examples=64,
        eval_examples=20,
        epochs=1,
        attacks=("clean",),
        panel_examples=0,
        run_dir=str(tmp_path / "run"),
    )
    networks.student(experiment.replace(student_checkpoint="", activation="relu")).save(
        tmp_path / "relu.keras"
    )
    results = experiments.run(experiment)
    assert list(results["rows"]) == ["gradient_norm"]
    assert len(results["student_weights"]["sha256"]) == 64
    assert (tmp_path / "run" / "natural_start-zero_mean_unit_norm.keras").exists()
    capsys.readouterr()
    again = experiments.run(experiment)
    assert (
        "Finished already, and not done again: gradient_norm" in capsys.readouterr().out
    )
    assert again["rows"] == json.loads(json.dumps(results["rows"]))
    _network(9).save(tmp_path / "relu.keras")
    with pytest.raises(ValueError, match="--student_checkpoint=.*not the one that the"):
        experiments.run(experiment)
