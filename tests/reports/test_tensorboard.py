"""What `--tensorboard` writes, read back; and its refusal where it cannot be."""

import importlib.util

import numpy as np
import pytest
import tensorflow as tf
from small_models import linear_model

from igam_tf.experiment import Experiment, preflight
from igam_tf.reports import TensorBoardLog


def without(monkeypatch, package):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == package else find(name, *rest),
    )


def test_metrics_and_pictures_read_back(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing import event_accumulator

    model, weights, _ = linear_model()
    images = np.full((2, 2, 3, 1), 51, np.uint8)
    log = TensorBoardLog(tmp_path / "logs", images, np.array([0, 1]))
    log.set_model(model)
    logs = {"loss": 0.5, "gradient_cosine": 0.25, "val_accuracy": 0.75}
    log.on_epoch_end(0, logs)
    log.on_epoch_end(1, {**logs, "loss": 0.125})
    log.on_train_end()
    found = event_accumulator.EventAccumulator(
        str(tmp_path / "logs"), size_guidance={"tensors": 0}
    ).Reload()
    assert sorted(found.Tags()["tensors"]) == [
        "input gradients", "training/gradient_cosine", "training/loss",
        "validation/accuracy",
    ]  # fmt: skip
    losses = [
        (event.step, float(tf.make_ndarray(event.tensor_proto)))
        for event in found.Tensors("training/loss")
    ]
    assert losses == [(1, 0.5), (2, 0.125)]
    picture = tf.make_ndarray(found.Tensors("input gradients")[-1].tensor_proto)
    # Width, height, and two PNG files: an image and its gradient are six pixels wide.
    assert picture[:2].tolist() == [b"6", b"2"] and len(picture) == 4
    shown = tf.io.decode_png(picture[2]).numpy()[..., 0].astype(int)
    np.testing.assert_array_equal(shown[:, :3], 51)
    rises = (weights[:, 1] - weights[:, 0]).reshape(2, 3) > 0
    np.testing.assert_array_equal(shown[:, 3:] > 127, rises)


def test_refused_without_the_package(monkeypatch, tmp_path):
    without(monkeypatch, "tensorboard")
    message = r"not installed: pip install 'igam_tf\[tensorboard\]'"
    with pytest.raises(ImportError, match=message):
        TensorBoardLog(tmp_path)
    preflight.check_packages(Experiment(source="digits", target="digits_parity"))
    asked = Experiment(source="digits", target="digits_parity", tensorboard=True)
    with pytest.raises(ValueError, match=f"--tensorboard.*{message}"):
        preflight.check_packages(asked)
