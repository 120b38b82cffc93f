"""PGD against MadryLab's own, on their (narrow) CIFAR-10 network."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

WORKER = pathlib.Path(__file__).with_name("cifar_pgd_parity.py")
REPOSITORY = WORKER.parents[2]


@pytest.fixture(scope="module")
def attacked(shared_dir):
    done = subprocess.run(
        [sys.executable, str(WORKER), str(shared_dir)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("num_steps", [5, 20])
@pytest.mark.parametrize("loss", ["xent", "cw"])
def test_equals_madrylab(attacked, loss, num_steps):
    stable_share, difference = attacked[f"{loss} {num_steps}"]
    assert stable_share > 0.85
    assert difference < 1e-5
