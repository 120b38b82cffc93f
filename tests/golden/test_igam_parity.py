"""IGAM with `reference.arguments()` is the authors' TensorFlow 1 graph."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

WORKER = pathlib.Path(__file__).with_name("igam_parity.py")
REPOSITORY = WORKER.parents[2]


def run_worker(shared_dir, compared):
    environment = os.environ | {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, str(WORKER), str(shared_dir), compared],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def probability(shared_dir):
    return run_worker(shared_dir, "probability")


@pytest.fixture(scope="module")
def loss(shared_dir):
    return run_worker(shared_dir, "loss")


@pytest.fixture(scope="module")
def float64(shared_dir):
    return run_worker(shared_dir, "float64")


each_input_gradient = pytest.mark.parametrize(
    "of", [pytest.param("probability", marks=pytest.mark.fast), "loss"]
)


@pytest.fixture
def differences(request, of):
    return request.getfixturevalue(of)


@each_input_gradient
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
def test_first_step(differences, of, what):
    assert differences[f"{of} {what}"] < 1e-4


@each_input_gradient
@pytest.mark.parametrize("term", ["cross_entropy", "adversarial", "difference"])
def test_gradients_of_each_term(differences, of, term):
    """The difference is a millionth of the loss: only here would a wrong one show."""
    assert differences[f"{of} gradients of {term}: number"] == 10
    assert differences[f"{of} gradients of {term}"] < 1e-4


@each_input_gradient
def test_all_gradients_of_the_student(differences, of):
    assert differences[f"{of} gradients: number"] == 95
    assert differences[f"{of} gradients"] < 1e-4


@pytest.mark.fast
def test_gradients_of_the_discriminator(probability):
    assert probability["discriminator gradients: number"] == 22
    assert probability["discriminator gradients"] < 1e-4
    assert probability["discriminator gradients: biases before batch norm"] < 1e-4


@pytest.mark.fast
def test_statistics_between_the_two_updates(probability):
    assert probability["probability statistics: number"] == 134
    assert probability["probability statistics"] < 1e-4


@pytest.mark.fast
@pytest.mark.parametrize(
    "what, number", [("student", 95), ("discriminator", 22), ("statistics", 134)]
)
def test_state_after_the_first_step(probability, what, number):
    assert probability[f"after 1 {what}: number"] == number
    assert probability[f"after 1 {what}"] < 1e-4


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
