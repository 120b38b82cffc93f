"""Which part of streamed images is kept, and from how many images on they are."""

import numpy as np
import pytest
from PIL import Image

from igam_tf import data
from igam_tf.data import streamed

pytestmark = pytest.mark.fast


@pytest.fixture(name="mixed")
def _mixed(tmp_path):
    """PNGs of several sizes with noise, so that every crop can be told from others."""
    rng = np.random.default_rng(0)
    for i in range(12):
        path = tmp_path / "mixed" / f"class {i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12 + i, 24 - i, 3), np.uint8)).save(path)
    return tmp_path / "mixed"


@pytest.mark.parametrize("center_crop", [None, 0.5])
def test_training_images_are_cut_as_in_memory(mixed, center_crop):
    """Without a part of random area: the whole, unless somebody asks for less."""
    options = {"image_size": 8, "center_crop": center_crop, "progress": False}
    memory = data.read(mixed, stream=False, **options)
    stream = data.read(mixed, stream=True, augmentation="crop_and_flip", **options)
    np.testing.assert_array_equal(memory.train.images, stream.train.images[:])
    assert stream.test.images.center_crop == (center_crop or 0.875)


def test_a_file_in_both_splits_is_counted_once(mixed, monkeypatch):
    monkeypatch.setattr(streamed, "STREAM_ABOVE", 12 * 8 * 8 * 3)
    task = data.read(mixed, image_size=8, test_fraction=1, progress=False)
    assert len(task.test) == 12 and not task.test.is_streamed
