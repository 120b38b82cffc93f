"""Exports of tiny networks, run by JAX in another process."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import pytest
from small_models import set_seed

from igam_tf import models, training

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
IMAGE_SHAPE = (8, 8, 1)


@pytest.fixture(scope="session")
def jax_python():
    """An interpreter with JAX; another process, since TensorFlow has its own XLA."""
    python = os.environ.get("IGAM_TF_JAX_PYTHON", sys.executable)
    found = subprocess.run([python, "-c", "import jax, numpy"], capture_output=True)
    if found.returncode:
        pytest.skip(
            f"{python} has no JAX: set IGAM_TF_JAX_PYTHON to an interpreter that has"
        )
    return python


@pytest.fixture(scope="session")
def run_jax(jax_python):
    """Runs a module or script of this repository in that interpreter."""

    def run(*arguments, check=True):
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "JAX_PLATFORMS": "cpu",
        }
        done = subprocess.run(
            [jax_python, *map(str, arguments)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=REPOSITORY,
        )
        if check and done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done

    return run


@pytest.fixture(scope="session")
def run_exported(run_jax):
    """Runs an exported step on batches; see `exported_runner.py`."""

    def run(folder, arrays, saved):
        script = pathlib.Path(__file__).with_name("exported_runner.py")
        return json.loads(run_jax(script, folder, arrays, saved).stdout)

    return run


@pytest.fixture
def make_network():
    """Makes a small network; with batch norm, which has moving statistics."""

    def make(num_classes=4, name="network"):
        images = keras.Input(IMAGE_SHAPE)
        x = keras.layers.Conv2D(8, 3, strides=2, padding="same")(images)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
        x = keras.layers.Activation("gelu")(x)
        x = keras.layers.Flatten()(x)
        logits = keras.layers.Dense(num_classes, dtype="float32")(x)
        return keras.Model(images, logits, name=name)

    return make


@pytest.fixture
def make_igam(make_network):
    """Makes a compiled IGAM that changes its phase, always the same one."""

    def make(seed=3, **kwargs):
        set_seed(seed)
        method = training.IGAM(
            make_network(name="student"),
            make_network(name="teacher"),
            models.discriminator(gradient_shape=IMAGE_SHAPE, channels=(4, 4)),
            pixel_range=1.0,
            adversarial_weight=0.5,
            difference_weight=3.0,
            **{"matching_start": 3, "discriminator_every": 2, **kwargs},
        )
        rate = training.piecewise_constant(3e-2, 20)
        method.compile(training.Momentum(rate, momentum=0.9), jit_compile=True)
        return method

    return make
