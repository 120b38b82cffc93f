"""Everything computed from the golden checkpoints is what the original computed."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from igam_tf import checkpoints
from igam_tf.checkpoints.tf1.names import wide_resnet_rows

WORKER = pathlib.Path(__file__).with_name("golden_parity.py")
REPOSITORY = WORKER.parents[2]


@pytest.fixture(scope="module")
def differences(shared_dir):
    """The worker's relative differences; it runs as the golden numbers were made."""
    environment = os.environ | {
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        [sys.executable, str(WORKER), str(shared_dir)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("net", ["mnist", "cifar"])
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("what", ["logits", "xent", "gradient"])
def test_logits_loss_and_image_gradient(differences, net, mode, what):
    assert differences[f"{net} {mode} {what}"] < 1e-5


@pytest.mark.parametrize(
    "part", ["teacher source", "teacher target", "student", "discriminator"]
)
def test_logits_of_the_igam_graph(differences, part):
    assert differences[f"igam {part}"] < 1e-5


def test_batch_statistics_after_one_training_forward(differences):
    assert differences["moving mean"] < 1e-5
    assert differences["moving variance, corrected"] < 1e-5


def test_keras_moving_variance_lacks_the_correction_of_tf1(differences):
    """Why the correction is there: with a Keras that has it, this says to drop it."""
    assert 1e-4 < differences["moving variance"] < 1e-3


@pytest.mark.parametrize("name", ["standardize", "unit_norm", "zero_mean_unit_norm"])
def test_input_normalizations(differences, name):
    assert differences[f"normalization {name}"] < 1e-6


@pytest.mark.fast
def test_names_and_shapes_of_the_wide_net(shared_dir):
    path = shared_dir / "golden" / "cifar_madry_wide" / "wide_variables.json"
    variables = json.loads(path.read_text())["variables"]
    golden = {v["name"]: tuple(v["shape"]) for v in variables}
    rows = wide_resnet_rows(depth=32, width=10, num_classes=10)
    ours = {row.name: row.shape for row in rows}
    ours |= {f"{row.name}/Momentum": row.shape for row in rows if row.trainable}
    assert ours | {"global_step": ()} == golden
    assert len(golden) == 253


@pytest.mark.fast
def test_describe_golden(shared_dir):
    golden = shared_dir / "golden"
    cifar = checkpoints.describe(golden / "cifar_madry_narrow")
    assert (cifar.kind, cifar.step) == ("madry_cifar", 70000)
    assert (cifar.depth, cifar.width, cifar.num_classes) == (32, 1, 10)
    assert (cifar.num_variables, cifar.num_slots, cifar.other) == (253, 95, ())
    assert cifar.normalization == "standardize"
    mnist = checkpoints.describe(golden / "mnist_madry")
    assert (mnist.kind, mnist.image_shape) == ("madry_mnist", (28, 28, 1))
    igam = checkpoints.describe(golden / "igam_step_narrow" / "checkpoint-0.index")
    assert igam.kind == "igam_training" and igam.num_variables == 472
    assert [part.name for part in igam.parts] == ["teacher", "student", "discriminator"]
    assert igam.part("teacher").heads == (("source", 10), ("target", 100))
    assert igam.part("student").normalization == "zero_mean_unit_norm"
    assert igam.part("discriminator").channels == (16, 32, 64, 128, 256)
    assert igam.other == ()
    assert "Wide-ResNet 32-1 (igam_student), 100 classes" in str(igam)
