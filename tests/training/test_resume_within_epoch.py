"""A training that is killed within an epoch goes on with the very next batch."""

import csv
import types

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import data, models, training
from igam_tf.experiment.fitting import fit
from igam_tf.training.checkpoint import Checkpoint


class _Folder:
    def __init__(self, path):
        self.path = path

    def file(self, *parts):
        return self.path.joinpath(*parts)


def _run(path, said):
    return types.SimpleNamespace(
        experiment=types.SimpleNamespace(
            run=types.SimpleNamespace(
                steps_per_execution=1,
                checkpoint_steps=2,
                tensorboard=False,
                epoch_attack="",
            )
        ),
        folder=_Folder(path),
        strategy=tf.distribute.get_strategy(),
        is_chief=True,
        seed=lambda purpose: 7,
        record=lambda: None,
        say=said.append,
    )


def _method():
    set_seed(3)
    student = models.small_cnn(num_classes=2, filters=(4, 4), hidden_units=8)
    method = training.StandardTraining(student)
    # At the end of `fit` Keras puts means in the place of these weights.
    method.compile(keras.optimizers.Adam(1e-2, use_ema=True, ema_momentum=0.9))
    return method


class _Killed(KeyboardInterrupt):
    """Ctrl-C."""


def _train(path, digits, *, kill_at=None):
    said, seen, method = [], [], _method()

    def batches(*args, **kwargs):
        found = data.training_batches(
            digits.train, *args, augmentation=data.Augmentation(pad=1), **kwargs
        )
        seen.append(kwargs)
        return found

    if kill_at:
        step = method.make_train_function

        def interrupted():
            step()
            made = method.train_function

            def train(iterator):
                if method.optimizer.iterations.numpy() == kill_at:
                    raise _Killed
                return made(iterator)

            method.train_function = train

        method.make_train_function = interrupted
    task = types.SimpleNamespace(train=digits.train, test=digits.test)
    fit(_run(path, said), "row", method, task, epochs=3, batch_size=13, batches=batches)
    return method, said, seen


def _history(path):
    with open(path / "row" / "history.csv", newline="") as file:
        return [
            {k: v for k, v in row.items() if k != "seconds"}
            for row in csv.DictReader(file)
        ]


def test_the_rest_of_an_epoch_is_trained_alone(digits, tmp_path):
    """Five steps an epoch, saved after two and four; killed at step 3 of the second."""
    straight, _, _ = _train(tmp_path / "a", digits)
    with pytest.raises(_Killed):
        _train(tmp_path / "b", digits, kill_at=8)
    names = sorted(p.name for p in (tmp_path / "b" / "row").rglob("*.h5"))
    assert names == ["epoch-0001-step-00000002.weights.h5", "epoch-0001.weights.h5"]
    resumed, said, seen = _train(tmp_path / "b", digits)
    assert said == ["row: going on after epoch 1, step 2 of the next"]
    assert seen == [
        {"seed": 7, "first_epoch": 1, "first_step": 2},
        {"seed": 7, "first_epoch": 2},
    ]
    for a, b in zip(straight.variables, resumed.variables, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)
    assert _history(tmp_path / "a") == _history(tmp_path / "b")
    assert [row["epoch"] for row in _history(tmp_path / "b")] == ["1", "2", "3"]


def test_the_newest_checkpoint_is_the_one_furthest_on(tmp_path):
    class Weights:
        metrics = ()

        def save_weights(self, path):
            h5py.File(path, "w").close()

        def load_weights(self, path):
            self.loaded = path.name

    made = Checkpoint(tmp_path, every_steps=3)
    made.set_model(Weights())
    made.set_params({"steps": 8})
    for epoch in range(2):
        made.on_epoch_begin(epoch)
        for step in range(8 if epoch == 0 else 5):
            made.on_train_batch_end(step)
        if epoch == 0:
            made.on_epoch_end(epoch)
    # Of two epochs: 3, 6, end; 3. The last two are kept.
    method = Weights()
    assert (made.restore(method), made.first_step) == (1, 3)
    assert method.loaded == "epoch-0001-step-00000003.weights.h5"
    (tmp_path / method.loaded).unlink()
    assert (made.restore(method), made.first_step) == (1, 0)


def test_every_worker_reads_what_replicas_sum_up(tmp_path, monkeypatch):
    """A worker that left it to the first one would leave that one waiting."""
    from igam_tf.training import checkpoint

    read = []

    class Variable:
        def numpy(self):
            read.append(self)
            return np.float32(1)

    monkeypatch.setattr(checkpoint, "_means", lambda method: [Variable(), Variable()])
    callback = checkpoint.Checkpoint(tmp_path / "checkpoints", writes=False)
    callback._save("epoch-0000-step-00000002.weights.h5")
    assert len(read) == 2 and not (tmp_path / "checkpoints").exists()
