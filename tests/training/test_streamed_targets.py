"""PAG's targets of streamed images: those from memory, or a refusal in one sentence."""

import types

import numpy as np
import pytest
from PIL import Image

from igam_tf import data
from igam_tf.experiment import own_data
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
    with pytest.raises(ValueError, match="--pag_targets=sbg: .* photos are streamed"):
        pag_alignment.check(pag.Settings(targets="sbg"), task)
    pag_alignment.check(pag.Settings(targets="cm"), task)
    setup = types.SimpleNamespace(
        task=task, augmentation=data.Augmentation(resized_crop=0.08)
    )
    with pytest.raises(ValueError, match="pass --augmentation=crop_and_flip"):
        pag.Settings().check_row(setup)


def test_the_first_lines_say_what_is_streamed(tasks):
    memory, streamed = (own_data.sentence("target", task) for task in tasks)
    assert streamed.startswith(memory) and "streamed" not in memory
    assert streamed.endswith(
        "They are streamed, decoded again in each epoch: all 10 would take 0.0 GiB of "
        "memory. Of test images the centre is kept, 0.875 of the side."
    )
