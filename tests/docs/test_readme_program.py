"""README's program for `model.fit` as it stands, on small networks and six images."""

import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

import igam_tf

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
SMALLER = {
    "depth=32, width=10": "depth=8, width=1",
    "epochs=6": "epochs=1",
    "epochs=200": "epochs=1",
}


@pytest.fixture
def program():
    (found,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)
    for large, small in SMALLER.items():
        assert large in found, f"README's program has no {large}"
        found = found.replace(large, small)
    return found


@pytest.fixture
def six_images(monkeypatch):
    """What `igam_tf.data.load` gives, of six images of noise."""
    draw = np.random.default_rng(0)
    images = draw.uniform(0, 1, (6, 32, 32, 3)).astype("float32")
    batches = tf.data.Dataset.from_tensor_slices((images, np.arange(6))).batch(3)

    def load(name, data_dir, batch_size):
        assert (name, data_dir, batch_size) == ("cifar100", "DIR", 32)
        return batches, batches

    monkeypatch.setattr(igam_tf.data, "load", load)


def test_it_trains_and_saves_plain_keras(program, six_images, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    set_seed(0)
    teacher = igam_tf.models.wide_resnet(
        depth=8, width=1, num_classes=10, normalization="standardize"
    )
    igam_tf.checkpoints.save_tf1(teacher, tmp_path / "models" / "cifar10_adv_trained")
    names = {}
    exec(program, names)
    student = keras.models.load_model("student.keras", compile=False)
    assert student.output_shape == (None, 100)
    np.testing.assert_array_equal(
        student.get_weights()[0], names["model"].student.get_weights()[0]
    )
