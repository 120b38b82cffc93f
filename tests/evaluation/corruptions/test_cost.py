"""What corruptions will take: counted from seconds that are given."""

import keras
import numpy as np
import pytest

from igam_tf.evaluation.corruptions import cost
from igam_tf.evaluation.corruptions.names import Corruptions
from igam_tf.evaluation.progress import corruptions_sentence

ASKED = Corruptions(kinds=("brightness", "contrast"), severities=(1, 3, 5))


@pytest.fixture(name="seconds")
def _seconds(monkeypatch):
    """Whatever is timed takes 4 s, and is done."""

    def four(work):
        work()
        return 4.0

    monkeypatch.setattr(cost, "_seconds", four)


def mean_model():
    images = keras.Input((2, 2, 1))
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))


def test_an_image_by_hand(seconds):
    """4 s for 16 images classified and for 2 made: 6 forms, 2 makers, 3 severities."""
    images = np.full((2, 2, 2, 1), 0.5, np.float32)
    found = cost.seconds_an_image(mean_model(), ASKED, images, batch_size=16)
    assert found == 6 * 4 / 16 + 3 * (4 + 4) / 2


def test_files_are_not_made_and_have_so_many_images(seconds, tmp_path):
    np.save(tmp_path / "labels.npy", np.zeros(5 * 7, np.uint8))
    np.save(tmp_path / "fog.npy", np.zeros((5 * 7, 2, 2, 1), np.uint8))
    asked = Corruptions(folder=str(tmp_path))
    images = np.zeros((1, 2, 2, 1), np.float32)
    found = cost.seconds_an_image(mean_model(), asked, images, batch_size=16)
    assert found == 5 * 4 / 16
    found = [cost.num_corrupted(asked, 9000, most) for most in (3, 8000, None)]
    assert found == [3, 7, 7]
    assert cost.num_corrupted(ASKED, 9000, None) == 9000


def test_it_is_said_where_it_is_long():
    """0.03 s for 10,000 images: 300 s."""
    said = corruptions_sentence(0.03, 10_000, ASKED)
    assert "about 5 min on this machine, after the attacks, for 2 corruptions" in said
    assert "3 severities of 10,000 images; for 1,000 (--max_examples=1000;" in said
    assert said.endswith(": 30 s.")
    assert corruptions_sentence(0.03, 9_999, ASKED) == ""
