"""PAG's targets of streamed images are those from memory; scores of either."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from igam_tf import data, distribution, models
from igam_tf.experiment import estimate, own_data
from igam_tf.experiment.experiment import Experiment
from igam_tf.training import pag, pag_alignment, pag_targets


@pytest.fixture
def tasks(tmp_path):
    """The same noise in memory and streamed."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(5):
            pixels = rng.integers(0, 256, (6 + i, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    options = {"image_size": 4, "center_crop": 0.875, "progress": False}
    return [
        data.read(tmp_path / "photos", stream=stream, **options)
        for stream in (False, True)
    ]


@pytest.mark.parametrize("name", ["oi", "cm", "nn"])
def test_targets_are_those_from_memory(tasks, name, monkeypatch):
    monkeypatch.setattr(pag_targets, "_DECODED", 3)
    images = np.zeros((1, 4, 4, 3), np.float32)
    memory, streamed = (
        pag_targets.make(name, task.train, 2, per_class=3)(images, None).numpy()
        for task in tasks
    )
    assert np.abs(memory).max() > 0.3
    np.testing.assert_allclose(streamed, memory, atol=1e-6)


def test_what_cannot_be_had_is_refused(tasks):
    _, task = tasks
    for name in ("sbg", "cm"):
        pag_alignment.check(pag.Settings(targets=name), task)
    setup = types.SimpleNamespace(
        task=task, augmentation=data.Augmentation(resized_crop=0.08)
    )
    with pytest.raises(ValueError, match="pass --augmentation=crop_and_flip"):
        pag.Settings().check_row(setup)


@pytest.mark.parametrize("changed, expected", [
    ({}, True),
    # Four passes an image for a file; two or three in one epoch of one or two classes.
    ({"epochs": 1}, False),
    ({"epochs": 1, "pag_classes": 0}, True),
    ({"mixup": 0.5}, False),
    ({"stream": True}, False),
    ({"largest": 10}, False),
])  # fmt: skip
def test_a_file_of_scores_where_it_is_less_work(tasks, changed, expected, monkeypatch,
                                                tmp_path):  # fmt: skip
    given = {"epochs": 2, "pag_classes": 1, "mixup": 0.0, **changed}
    stream = given.pop("stream", False)
    if "largest" in given:
        monkeypatch.setattr(pag_alignment, "_LARGEST_FILE", given.pop("largest"))
    task = dataclasses.replace(tasks[stream], num_classes=3)
    experiment = Experiment(target="cifar10", methods=("pag",), **given)
    run = types.SimpleNamespace(
        target=task, experiment=experiment, is_streamed=task.train.is_streamed
    )
    settings, path = experiment.settings_of("pag"), tmp_path / "targets.npy"
    assert pag_alignment._are_kept(settings, run, path) == expected
    # A run that began with a file goes on with it.
    path.touch()
    assert pag_alignment._are_kept(settings, run, path)


def test_scores_of_streamed_images_are_made_in_steps(tasks, tmp_path, eagerly):
    network = models.score_network(
        num_classes=2, image_shape=(4, 4, 3), filters=(4,), embedding_units=4
    )
    last = network.get_layer("last")
    last.kernel.assign(keras.random.normal(last.kernel.shape, seed=1))
    network.save(tmp_path / "score.keras")
    experiment = Experiment(
        target="cifar10", methods=("pag",), epochs=1, pag_targets="sbg", pag_classes=1,
        score_model=str(tmp_path / "score.keras"),
    )  # fmt: skip
    settings, found = experiment.settings_of("pag"), []
    for task in tasks:
        run = types.SimpleNamespace(
            target=task,
            is_streamed=task.train.is_streamed,
            experiment=experiment,
            strategy=distribution.strategy("one"),
            seed=lambda purpose: 3,
            folder=types.SimpleNamespace(file=lambda *parts: tmp_path.joinpath(*parts)),
        )
        targets, batches = pag_alignment.prepare(settings, run)
        images, labels = next(iter(batches(8, seed=0, first_epoch=0)))
        classes = tf.ones([8, 1], tf.int32)
        found.append(targets.of_classes(images, labels, classes).numpy())
    assert found[0].shape == (8, 1, 4, 4, 3) and np.abs(found[0]).max() > 0.5
    np.testing.assert_array_equal(*found)
    assert [path.name for path in tmp_path.glob("*.*")] == ["score.keras"]


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_dry_run_measures_scores_as_the_run_makes_them(tmp_path, stream):
    measured = estimate.Estimate(
        Experiment(
            target=str(tmp_path / "photos"), image_size="4", stream=stream, epochs=9,
            methods=("pag",), pag_targets="sbg", pag_classes=1,
        )
    )  # fmt: skip
    targets, _ = measured.experiment.settings_of("pag").prepare(measured)
    assert isinstance(targets, pag_targets.InSteps) == (stream == "true")


def test_the_first_lines_say_what_is_streamed(tasks):
    memory, streamed = (own_data.sentence("target", task) for task in tasks)
    assert streamed.startswith(memory) and "streamed" not in memory
    assert streamed.endswith(
        "They are streamed, decoded again in each epoch: all 10 would take 0.0 GiB of "
        "memory. Of test images the centre is kept, 0.875 of the side."
    )
