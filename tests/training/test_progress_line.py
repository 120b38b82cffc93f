"""The line of a training: what is left counts from the second step on."""

import io

import pytest

from igam_tf.training import callbacks


@pytest.fixture
def clock(monkeypatch):
    times = [0.0]
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: times[0])
    return times


def test_compilation_is_not_in_the_time_that_is_left(clock):
    """Two epochs of ten steps; the first step takes 100 s, the others 1 s."""
    stream = io.StringIO()
    line = callbacks.Progress("igam", log_seconds=0.0, stream=stream)
    line.set_params({"epochs": 2, "steps": 10})
    line.on_train_begin()
    for epoch in range(2):
        line.on_epoch_begin(epoch)
        for batch in range(10):
            clock[0] += 1.0 if epoch or batch else 100.0
            line.on_train_batch_end(batch, {"loss": 1.0})
        line.on_epoch_end(epoch, {"loss": 1.0})
    lines = stream.getvalue().splitlines()
    assert lines[0] == "igam: epoch 1/2  loss 1.000  1:40 taken"
    assert lines[1] == "igam: epoch 1/2  loss 1.000  0:18 left"
    assert lines[-2] == "igam: epoch 2/2  loss 1.000  0:00 left"
    assert lines[-1] == "igam: epoch 2/2  loss 1.000  1:59 taken"


def test_steps_that_nobody_counted(clock):
    stream = io.StringIO()
    line = callbacks.Progress("pgd", log_seconds=0.0, stream=stream)
    line.set_params({"epochs": 3, "steps": None})
    line.on_train_begin()
    line.on_epoch_begin(0)
    for batch in range(3):
        clock[0] += 5.0
        line.on_train_batch_end(batch, {"loss": 1.0})
    line.on_epoch_begin(1)
    clock[0] += 5.0
    line.on_train_batch_end(0, {"loss": 1.0})
    lines = stream.getvalue().splitlines()
    assert [text.split("  ")[-1] for text in lines[:3]] == [
        "0:05 taken", "0:10 taken", "0:15 taken",
    ]  # fmt: skip
    assert lines[3].endswith("0:15 left")
