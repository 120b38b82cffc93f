"""IGAM with `reference.arguments()` is the authors' TensorFlow 1 graph."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

WORKER = pathlib.Path(__file__).with_name("igam_parity.py")
REPOSITORY = WORKER.parents[2]


def run_worker(shared_dir, precision):
    environment = os.environ | {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, str(WORKER), str(shared_dir), precision],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def float32(shared_dir):
    return run_worker(shared_dir, "float32")


@pytest.fixture(scope="module")
def float64(shared_dir):
    return run_worker(shared_dir, "float64")


@pytest.mark.fast
@pytest.mark.parametrize("of", ["probability", "loss"])
@pytest.mark.parametrize(
    "what",
    [
        "J_s",
        "J_t",
        "student logits",
        "discriminator logits",
        "cross_entropy",
        "adversarial",
        "difference",
        "discriminator_loss",
        "discriminator_accuracy",
        "loss",
    ],
)
def test_first_step(float32, of, what):
    assert float32[f"{of} {what}"] < 1e-4


@pytest.mark.fast
@pytest.mark.parametrize("of", ["probability", "loss"])
@pytest.mark.parametrize("term", ["cross_entropy", "adversarial", "difference"])
def test_gradients_of_each_term(float32, of, term):
    """The difference is a millionth of the loss: only here would a wrong one show."""
    assert float32[f"{of} gradients of {term}: number"] == 10
    assert float32[f"{of} gradients of {term}"] < 1e-4


@pytest.mark.fast
@pytest.mark.parametrize("of", ["probability", "loss"])
def test_all_gradients_of_the_student(float32, of):
    assert float32[f"{of} gradients: number"] == 95
    assert float32[f"{of} gradients"] < 1e-4


@pytest.mark.fast
def test_gradients_of_the_discriminator(float32):
    assert float32["discriminator gradients: number"] == 22
    assert float32["discriminator gradients"] < 1e-4
    assert float32["discriminator gradients: biases before batch norm"] < 1e-4


@pytest.mark.fast
def test_statistics_between_the_two_updates(float32):
    assert float32["probability statistics: number"] == 134
    assert float32["probability statistics"] < 1e-4


@pytest.mark.fast
@pytest.mark.parametrize(
    "what, number", [("student", 95), ("discriminator", 22), ("statistics", 134)]
)
def test_state_after_the_first_step(float32, what, number):
    assert float32[f"after 1 {what}: number"] == number
    assert float32[f"after 1 {what}"] < 1e-4


@pytest.mark.parametrize(
    "what", ["cross_entropy", "adversarial", "difference", "discriminator_loss", "loss"]
)
def test_losses_of_twelve_steps(float64, what):
    assert float64[f"12 steps {what}"] < 1e-5


@pytest.mark.parametrize("step", [1, 12])
@pytest.mark.parametrize(
    "what, number", [("student", 95), ("discriminator", 22), ("statistics", 134)]
)
def test_state_in_twelve_steps(float64, step, what, number):
    name = f"12 steps, after {step} {what}"
    assert float64[f"{name}: number"] == number
    assert float64[name] < 1e-5
    assert float64.get(f"{name}: biases before batch norm", 0.0) < 1e-9
