"""Numbers of devices and machines that cannot be."""

import numpy as np
import pytest

from igam_tf import distribution

pytestmark = pytest.mark.fast


@pytest.mark.parametrize("name", distribution.STRATEGIES)
def test_fewer_devices_than_none(name):
    with pytest.raises(ValueError, match="devices=-1: expected 0, for all GPUs"):
        distribution.strategy(name, devices=-1)


@pytest.mark.parametrize("workers", ['"host:1"', "null", "2"])
def test_workers_that_are_no_list(workers, monkeypatch):
    config = '{"cluster": {"worker": %s}, "task": {"type": "worker", "index": 0}}'
    monkeypatch.setenv("TF_CONFIG", config % workers)
    with pytest.raises(ValueError, match=r"TF_CONFIG.*Expected, on each machine"):
        distribution.strategy("auto")


def test_numpys_truth_is_pythons():
    assert distribution.resolve_jit_compile(np.bool_(True)) is True
