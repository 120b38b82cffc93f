"""Finetuned teachers are files that any Keras loads, without code of this package."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from igam_tf import models, training, transforms

_TRANSFORMS = {
    "random_pad": (8, 8, 1),
    "legacy_resize": (8, 8, 3),
    "resize": (8, 8, 3),
    "center_pad": (8, 8, 3),
    "transpose_conv": (8, 8, 3),
    "average_pool": (32, 32, 3),
    "mean_channels+center_crop": (20, 20, 3),
    "smooth_resize": (50, 37, 3),
}
_SCRIPT = """
import pathlib, sys
import keras, numpy as np

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.keras")):
    model = keras.models.load_model(path, compile=False)
    known = np.load(path.with_suffix(".npz"))
    found = keras.ops.convert_to_numpy(model(known["images"], training=False))
    np.testing.assert_allclose(found, known["logits"], atol=1e-4, err_msg=path.name)
    print(path.stem)
assert "igam_tf" not in sys.modules
assert keras.backend.backend() == sys.argv[2]
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetuned")
    teacher = models.small_cnn(num_classes=3, image_shape=(16, 16, 3), hidden_units=8)
    for name, image_shape in _TRANSFORMS.items():
        model = training.with_new_logits(
            teacher, num_classes=4, image_shape=image_shape, input_transform=name
        )
        images = np.random.default_rng(0).random((2, *image_shape)).astype("float32")
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", images=images, logits=model(images))
    return folder


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_plain_keras_loads_every_transform(folder, backend):
    plain = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(folder), backend],
        env={**plain, "KERAS_BACKEND": backend}, cwd=folder, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == sorted(_TRANSFORMS)


def test_a_loaded_teacher_pads_at_random_again_in_training(folder):
    """Else a resumed run would train on other images than one that never stopped."""
    teacher = keras.models.load_model(folder / "random_pad.keras", compile=False)
    images = np.random.default_rng(0).random((8, 8, 8, 1)).astype("float32")
    central = teacher(images).numpy()
    with transforms.random_offsets(tf.constant([1, 2])):
        np.testing.assert_array_equal(teacher(images), central)
    student = models.small_cnn(num_classes=4, hidden_units=8)
    held = training.KDIGA(student, teacher).teacher
    with transforms.random_offsets(tf.constant([1, 2])):
        assert np.abs(held(images).numpy() - central).max() > 1e-3
    np.testing.assert_array_equal(held(images), central)


def test_files_of_earlier_releases_hold_layers_of_this_package(tmp_path):
    images = keras.Input((8, 8, 1))
    x = transforms.LegacyResize((12, 12), name="legacy_resize")(images)
    x = transforms.RandomPad((16, 16), name="random_pad")(x)
    model = keras.Model(images, x)
    model.save(tmp_path / "old.keras")
    loaded = keras.models.load_model(tmp_path / "old.keras", compile=False)
    ones = np.ones((1, 8, 8, 1), "float32")
    np.testing.assert_allclose(loaded(ones)[0, 2:14, 2:14], np.ones((12, 12, 1)))
    np.testing.assert_array_equal(loaded(ones), model(ones))
