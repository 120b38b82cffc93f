"""Students in the formats that Keras itself exports: their logits are the student's."""

import numpy as np
import pytest
import tensorflow as tf
from small_models import set_seed

from igam_tf import models


@pytest.fixture(scope="module", name="student")
def _student():
    """A network of the package, with the normalisation that it owns."""
    set_seed(3)
    model = models.wide_resnet(depth=8, width=1, num_classes=2, image_shape=(8, 8, 1))
    model(np.zeros((1, 8, 8, 1), np.float32))
    return model


@pytest.fixture(scope="module", name="images")
def _images():
    return np.random.default_rng(0).uniform(size=(3, 8, 8, 1)).astype(np.float32)


def test_litert(student, images, tmp_path):
    """By the interpreter inside TensorFlow."""
    path = tmp_path / "student.tflite"
    student.export(path, format="litert", verbose=False)
    run = tf.lite.Interpreter(str(path)).get_signature_runner()
    (name,) = run.get_input_details()
    (logits,) = run(**{name: images}).values()
    np.testing.assert_allclose(logits, student(images), atol=1e-4)


def test_onnx(student, images, tmp_path):
    for package in ("onnx", "tf2onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    import onnxruntime

    path = tmp_path / "student.onnx"
    student.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    (images_in,) = session.get_inputs()
    (logits,) = session.run(None, {images_in.name: images})
    np.testing.assert_allclose(logits, student(images), atol=1e-4)
