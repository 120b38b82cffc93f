"""A teacher of a file is measured on its own task, told of, refused or warned of."""

import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import igam_tf
from igam_tf import checkpoints, data, models
from igam_tf import experiment as experiments
from igam_tf.experiment import Experiment, teacher_check

_SMALL = {
    "source": "digits", "target": "digits_parity", "train_examples": 64,
    "eval_examples": 40, "finetune_epochs": 1, "baseline_finetune_epochs": 1,
    "methods": ("finetune",), "attacks": ("clean",), "panel_examples": 0,
}  # fmt: skip


@pytest.fixture(scope="module", name="weights")
def _weights():
    """Ridge regression of the ten digits: about 90 % right, by one linear equation."""
    train = data.read("digits").train
    images, _ = next(iter(data.evaluation_batches(train, len(train))))
    x = np.c_[images.numpy().reshape(len(train), -1), np.ones(len(train))]
    y = np.eye(10)[train.labels]
    solved = np.linalg.solve(x.T @ x + np.eye(65), x.T @ y)
    return [solved[:64].astype("float32"), solved[64].astype("float32")]


def _linear(weights, *front, num_classes=10):
    dense = keras.layers.Dense(num_classes)
    layers = [keras.Input((8, 8, 1)), *front, keras.layers.Flatten(), dense]
    network = keras.Sequential(layers)
    if num_classes == 10:
        dense.set_weights(weights)
    return network


def _experiment(path="teacher.keras", **settings):
    return Experiment(**{**_SMALL, "teacher_checkpoint": str(path), **settings})


def test_figures_and_no_warning_where_it_is_robust(weights):
    found = teacher_check.measure(_experiment(teacher_eps=0.01), _linear(weights))
    assert found["measured"] and found["num_examples"] == teacher_check.EXAMPLES
    assert found["clean"] > 0.8 and found["clean"] >= found["pgd20"] > 0.6
    assert found["warnings"] == []


def test_a_teacher_that_is_not_robust(weights):
    found = teacher_check.measure(_experiment(teacher_eps=0.5), _linear(weights))
    assert found["clean"] > 0.8 and found["pgd20"] < 0.05
    assert "not robust" in found["warnings"][0]
    assert f"{100 * found['clean']:.1f} % clean" in found["warnings"][0]
    assert "0.5" in found["warnings"][0]


def test_a_teacher_at_chance(weights):
    shuffled = [w[..., np.roll(np.arange(10), 3)] for w in weights]
    found = teacher_check.measure(_experiment(), _linear(shuffled))
    assert "at chance" in found["warnings"][0]


def test_a_teacher_of_grey_levels(weights):
    teacher = _linear(weights, keras.layers.Rescaling(1 / 255))
    with pytest.raises(
        ValueError, match=r"in \[0, 255\].*Rescaling\(255.0\)"
    ) as caught:
        teacher_check.measure(_experiment("mine.keras"), teacher)
    assert "--teacher_checkpoint=mine.keras" in str(caught.value)


@pytest.mark.parametrize(
    "is_second_class, words",
    [
        # Where x is 0.25 or 0.75: in [0, 1], and nothing is said.
        (lambda x: x > 0.5, None),
        (lambda x: x > 100, r"in \[0, 255\].*Rescaling\(255.0\)"),
        (lambda x: (0 < x) & (x < 0.7), r"in \[-1, 1\].*Rescaling\(2.0, offset=-1.0\)"),
        (
            lambda x: (0.9 < x) & (x < 10),
            r"normalised .*Normalization\(mean=\[0.5\], variance=\[0.0625\]\)",
        ),
    ],
)
def test_preprocessing_that_is_not_inside(is_second_class, words):
    """Half of the images are 0.25 and of class 0, the others 0.75 and of class 1."""
    labels = np.arange(100) % 2
    images = np.where(labels, 0.75, 0.25).reshape(-1, 1, 1, 1).astype("float32")

    class Threshold(keras.Model):
        def call(self, x):
            second = keras.ops.cast(is_second_class(x[:, :, 0, 0]), "float32")
            return keras.ops.concatenate([1 - second, second], axis=-1)

    def check():
        return teacher_check._check_range(_experiment(), Threshold(), images, labels)

    if words is None:
        assert check() == []
        return
    with pytest.raises(ValueError, match=r"0 % of 100 .* 100.0 % .*" + words):
        check()


def test_a_little_more_with_preprocessing_is_a_warning():
    """One in ten images of class 0 is told from class 1 in [-1, 1] only."""
    labels = np.arange(200) % 2
    images = np.where(labels, 0.75, 0.25).reshape(-1, 1, 1, 1).astype("float32")
    images[:20:2] = 0.3

    class Shifted(keras.Model):
        def call(self, x):
            x = x[:, :, 0, 0]
            wrong = keras.ops.logical_and(x > 0.28, x < 0.5)
            second = keras.ops.cast(keras.ops.logical_or(x >= 0.5, wrong), "float32")
            return keras.ops.concatenate([1 - second, second], axis=-1)

    said = teacher_check._check_range(_experiment(), Shifted(), images, labels)
    assert len(said) == 1 and "95.0 % of 200" in said[0] and "100.0 %" in said[0]
    assert "is its preprocessing inside of it?" in said[0]


def test_the_way_out_is_a_teacher(weights, tmp_path):
    """What the refusal tells to type: it is measured, and it can be finetuned."""
    teacher = _linear(weights, keras.layers.Rescaling(1 / 255))
    images = keras.Input((8, 8, 1))
    keras.Model(images, teacher(keras.layers.Rescaling(255.0)(images))).save(
        tmp_path / "teacher.keras"
    )
    loaded = checkpoints.load(tmp_path / "teacher.keras")
    found = teacher_check.measure(_experiment(), loaded)
    assert found["clean"] > 0.8
    finetuned = igam_tf.training.with_new_logits(
        loaded, num_classes=10, image_shape=(8, 8, 1)
    )
    finetuned.layers[-1].set_weights(weights)
    ones = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    np.testing.assert_allclose(finetuned(ones), _linear(weights)(ones), atol=1e-4)


def test_without_data_of_the_source(tmp_path):
    experiment = _experiment(source="mnist", data_dir=str(tmp_path))
    teacher = models.mnist_cnn(hidden_units=4, filters=(2, 2))
    found = teacher_check.measure(experiment, teacher)
    assert not found["measured"] and "mnist" in found["reason"]


def test_it_stands_in_the_results_and_on_the_card(weights, tmp_path, capsys):
    path = tmp_path / "mine.keras"
    _linear(weights).save(path)
    experiment = _experiment(path, run_dir=str(tmp_path / "run"))
    results = experiments.run(experiment)
    digest = checkpoints.digest(path)
    said = capsys.readouterr().out
    assert f"sha256 {digest[:12]}" in said and "under PGD-20" in said
    assert "Input transform: auto = none" in said
    flags = json.loads((tmp_path / "run" / "flags.json").read_text())
    assert flags["teacher"] == results["teacher"]
    assert results["teacher"]["sha256"] == digest
    assert results["teacher"]["clean"] > 0.8
    card = (tmp_path / "run" / "finetune" / "student.card.md").read_text()
    assert digest in card and str(tmp_path) not in card
    assert "--teacher_checkpoint=mine.keras" in card
    assert "--teacher_epochs" not in card and "--source_train_examples" not in card
    # The run goes on without measuring, or is told that the file is another one.
    experiments.run(experiment)
    assert "PGD-20" not in capsys.readouterr().out
    _linear([2 * w for w in weights]).save(path)
    with pytest.raises(ValueError, match="not the one that the run .* began with"):
        experiments.run(experiment)
    path.unlink()
    experiments.run(experiment)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda w: _linear(w, num_classes=7), "has 7 classes.*--source=digits has 10"),
        (lambda w: _linear(w, keras.layers.Rescaling(1 / 255)), r"in \[0, 1\]"),
        (None, "an empty file"),
    ],
)
def test_a_refused_teacher_leaves_nothing_behind(weights, tmp_path, make, words):
    path = tmp_path / "mine.keras"
    path.write_bytes(b"")
    if make:
        make(weights).save(path)
    experiment = _experiment(path, run_dir=str(tmp_path / "run"))
    with pytest.raises(ValueError, match=f"--teacher_checkpoint=.*{words}"):
        experiments.run(experiment)
    assert not [p for p in (tmp_path / "run").rglob("*") if p.is_file()]


def test_only_the_first_worker_adds_it_to_the_folder(weights, tmp_path):
    """To another one the file of the flags may not be there yet."""
    path = tmp_path / "teacher.keras"
    _linear(weights).save(path)
    said = []
    run = types.SimpleNamespace(
        experiment=_experiment(path, teacher_eps=0.01),
        folder=types.SimpleNamespace(writes=False, read_json=lambda name: None),
        local_strategy=tf.distribute.get_strategy(),
        record=lambda: None,
        say=said.append,
    )
    teacher_check.record(run, _linear(weights))
    assert len(said) == 1 and "clean" in said[0]
