"""Several workers on the loopback address, one of which is killed and started again."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from small_models import shifted

from igam_tf import distribution
from igam_tf import experiment as experiments
from igam_tf.cli import recipes

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Without batch norm, and with an optimizer that does not amplify rounding.
SETTINGS = [
    "--flagfile=flags/quickstart.cfg",
    "--methods=standard",
    "--optimizer=momentum",
    "--learning_rate=0.05",
    "--train_examples=70",
    "--epochs=30",
    "--eval_examples=40",
    "--attacks=clean",
    "--panel_examples=0",
    f"--seed={shifted(0)}",
]


def _ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class _Cluster:
    def __init__(self, folder, log_folder):
        self.folder, self.log_folder = folder, log_folder
        self.workers = [f"127.0.0.1:{port}" for port in _ports(2)]
        self.processes = {}

    def start(self, index):
        config = {
            "cluster": {"worker": self.workers},
            "task": {"type": "worker", "index": index},
        }
        log = open(self.log_folder / f"worker-{index}.log", "a")
        command = [sys.executable, "run.py", *SETTINGS, f"--run_dir={self.folder}"]
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        self.processes[index] = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        log.close()

    def wait(self):
        for process in self.processes.values():
            process.wait(timeout=600)
        logs = [path.read_text() for path in sorted(self.log_folder.glob("*.log"))]
        codes = [self.processes[i].returncode for i in (0, 1)]
        assert codes == [0, 0], "\n".join(text[-3000:] for text in logs)
        return logs

    def stop(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path):
    cluster = _Cluster(tmp_path / "run", tmp_path)
    yield cluster
    cluster.stop()


def test_a_killed_worker_comes_back(
    cluster, tmp_path, monkeypatch, without_figures, rewritten_graphs
):
    for index in (0, 1):
        cluster.start(index)
    folder = cluster.folder / "standard" / "checkpoints"
    deadline = time.monotonic() + 500
    while not list(folder.glob("epoch-*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(folder.glob("epoch-*"))
    cluster.processes[1].kill()
    cluster.processes[1].wait()
    cluster.start(1)
    first, second = cluster.wait()
    assert "A worker was lost" in first and "going on after epoch" in first
    # One process alone: the same batches, every image once an epoch.
    monkeypatch.chdir(ROOT)
    alone, _ = recipes.parse([*SETTINGS, f"--run_dir={tmp_path / 'alone'}"])
    experiments.run(alone)
    found, expected = (
        keras.models.load_model(folder / "standard" / "student.keras").get_weights()
        for folder in (cluster.folder, tmp_path / "alone")
    )
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    # The first worker alone writes and prints.
    assert (cluster.folder / "table.md").exists()
    assert "Standard" in first and "Standard" not in second


@pytest.mark.parametrize(
    "config, expected",
    [
        ("not json", "cannot be read"),
        ('{"cluster": {"worker": ["a:1", "b:1"]}}', "cannot be read"),
        (
            '{"cluster": {"worker": ["a:1", "b:1"]}, '
            '"task": {"type": "worker", "index": 2}}',
            "worker 2 of 2",
        ),
        ("", "without TF_CONFIG"),
    ],
)
def test_bad_tf_config(monkeypatch, config, expected):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ValueError, match=expected) as error:
        distribution.strategy("multiworker")
    assert "index" in str(error.value)


def test_a_config_of_one_machine_is_no_cluster(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{}")
    assert not distribution.is_multiworker(distribution.strategy())


def test_devices_belong_to_one_machine(monkeypatch):
    config = {
        "cluster": {"worker": ["a:1", "b:1"]},
        "task": {"type": "worker", "index": 0},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    with pytest.raises(ValueError, match="devices=2 with several workers"):
        distribution.strategy("multiworker", devices=2)
