"""Interrupted trainings go on bit for bit; diverged ones stop and keep what was."""

import csv

import keras
import numpy as np
import pytest
from small_models import set_seed

from igam_tf import data, models, training
from igam_tf.training import callbacks
from igam_tf.training.checkpoint import Checkpoint


def _fit(method, digits, folder, epochs, extra=()):
    checkpoint = Checkpoint(folder / "checkpoints")
    first = checkpoint.restore(method)
    method.fit(
        data.training_batches(
            digits.train, 16, augmentation=data.Augmentation(pad=1, noise=0.05), seed=5,
            first_epoch=first,
        ),
        epochs=epochs,
        initial_epoch=first,
        steps_per_epoch=data.steps_per_epoch(digits.train, 16),
        verbose=0,
        callbacks=[
            callbacks.StopOnDivergence(), callbacks.History(folder / "history.csv"),
            checkpoint, *extra,
        ],
    )  # fmt: skip
    return method


def _state(method):
    optimizers = method.optimizer, method.discriminator_optimizer
    return [v.numpy() for part in (method, *optimizers) for v in part.variables]


def test_three_and_three_epochs_equal_six(make_igam, digits, tmp_path):
    straight = _fit(make_igam(), digits, tmp_path / "a", 6)
    _fit(make_igam(), digits, tmp_path / "b", 3)
    resumed = _fit(make_igam(), digits, tmp_path / "b", 6)
    for a, b in zip(_state(straight), _state(resumed), strict=True):
        np.testing.assert_array_equal(a, b)
    histories = []
    for name in "ab":
        with open(tmp_path / name / "history.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        histories.append([{k: v for k, v in r.items() if k != "seconds"} for r in rows])
    assert histories[0] == histories[1]
    assert [row["epoch"] for row in histories[0]] == ["1", "2", "3", "4", "5", "6"]


def _jarn():
    set_seed(3)
    student = models.small_cnn(num_classes=2, filters=(4, 4), hidden_units=8)
    discriminator = models.discriminator(gradient_shape=(8, 8, 1), channels=(4, 4))
    method = training.JARN(student, discriminator, discriminator_every=2)
    method.compile(keras.optimizers.Adam(1e-2))
    return method


def _averaged():
    set_seed(3)
    student = models.small_cnn(num_classes=2, filters=(4, 4), hidden_units=8)
    method = training.GradNorm(student)
    method.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9))
    return method


@pytest.mark.parametrize("make", [_jarn, _averaged])
def test_other_methods_go_on_too(make, digits, tmp_path):
    straight = _fit(make(), digits, tmp_path / "a", 4)
    _fit(make(), digits, tmp_path / "b", 2)
    resumed = _fit(make(), digits, tmp_path / "b", 4)
    for a, b in zip(straight.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    rewind_igam, make_igam, digits, tmp_path
):
    straight = _state(_fit(rewind_igam(), digits, tmp_path, 3))
    newest = tmp_path / "checkpoints" / "epoch-0003.weights.h5"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert Checkpoint(tmp_path / "checkpoints").restore(make_igam()) == 2
    again = _fit(rewind_igam(), digits, tmp_path, 3)
    for a, b in zip(straight, _state(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_readable_checkpoint_is_an_error(rewind_igam, make_igam, digits, tmp_path):
    _fit(rewind_igam(), digits, tmp_path, 1)
    for path in (tmp_path / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(ValueError, match="delete the folder"):
        Checkpoint(tmp_path / "checkpoints").restore(make_igam())


def test_a_loss_that_is_not_finite_stops_the_training(
    rewind_igam, make_igam, digits, tmp_path
):
    method = rewind_igam()
    _fit(method, digits, tmp_path, 2)
    good = _state(method)
    poison = method.student.trainable_variables[0]
    poison.assign(poison.numpy() * np.nan)
    with pytest.raises(callbacks.TrainingDivergedError, match="epoch 1, step 1 "):
        method.fit(
            data.evaluation_batches(digits.train, 16),
            verbose=0,
            callbacks=[
                callbacks.StopOnDivergence(),
                Checkpoint(tmp_path / "checkpoints"),
            ],
        )
    restored = make_igam()
    assert Checkpoint(tmp_path / "checkpoints").restore(restored) == 2
    for a, b in zip(good, _state(restored), strict=True):
        np.testing.assert_array_equal(a, b)
