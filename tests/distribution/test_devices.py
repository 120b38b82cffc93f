"""The first line of a run: what it trains on."""

import pytest
import tensorflow as tf

from igam_tf import distribution
from igam_tf.distribution import devices

pytestmark = pytest.mark.fast


def test_a_cpu_and_the_way_to_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "_cores", lambda: 2)
    one, two = (distribution.strategy("auto", devices=count) for count in (0, 2))
    after = "; a GPU needs pip install igam_tf[gpu]"
    assert distribution.describe(one) == f"CPU: 2 cores, float32{after}"
    told = distribution.describe(two, precision="mixed_bfloat16", jit_compile=True)
    assert told == f"CPU: 2 cores, 2 replicas, XLA, mixed_bfloat16{after}"
    monkeypatch.setattr(devices, "_cores", lambda: 1)
    assert distribution.describe(one) == f"CPU: 1 core, float32{after}"


def test_gpus_by_their_name(monkeypatch):
    # Two logical CPUs stand for the replicas.
    one, two = (distribution.strategy("auto", devices=count) for count in (0, 2))
    names = {"device_name": "NVIDIA H200"}
    found = {"list_physical_devices": ["a", "b"], "list_logical_devices": ["a", "b"]}
    for function, gpus in found.items():
        monkeypatch.setattr(tf.config, function, lambda kind, gpus=gpus: gpus)
    details = tf.config.experimental
    monkeypatch.setattr(details, "get_device_details", lambda gpu: names)
    assert distribution.describe(one) == "NVIDIA H200, XLA, float32"
    assert distribution.describe(two) == "2 x NVIDIA H200, XLA, float32"
    names.clear()
    assert distribution.describe(two, jit_compile=False) == "2 x GPU, float32"
