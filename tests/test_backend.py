"""Another backend of Keras is told in one sentence."""

import os
import subprocess
import sys
import warnings

import keras
import pytest

from igam_tf import backend

pytestmark = pytest.mark.fast


def test_import_says_what_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", "import igam_tf"],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "igam_tf needs Keras' TensorFlow backend" in done.stderr
    assert "set KERAS_BACKEND=tensorflow" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_rooms_that_compute_refuse(monkeypatch):
    backend.require_tensorflow()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend.warn_of_others()
    monkeypatch.setattr(keras.config, "backend", lambda: "torch")
    with pytest.raises(ImportError, match="the backend is 'torch': set KERAS_BACKEND"):
        backend.require_tensorflow()
    with pytest.warns(UserWarning, match="igam_tf.export.runner works without it"):
        backend.warn_of_others()


def test_before_keras_is_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert backend.other_backend() == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert backend.other_backend() is None
    monkeypatch.delenv("KERAS_BACKEND")
    assert backend.other_backend() is None
