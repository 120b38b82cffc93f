"""Fixtures shared by all tests: real data where it is, two logical CPUs, seeds.

The tests are meant to pass wherever they run, and whatever the networks they train turn
out to be. To see that, set one of these before `python -m pytest`:

    IGAM_TF_TEST_SEED=1          other seeds for all networks and trainings of the tests
    TF_NUM_INTRAOP_THREADS=2 TF_NUM_INTEROP_THREADS=2    two threads (with -n: one)
    TF_ENABLE_ONEDNN_OPTS=0      other kernels
    ONEDNN_MAX_CPU_ISA=AVX2      the kernels of another processor

They reach the processes that tests start, too.
"""

import importlib.util
import os
import pathlib
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:
    # As many workers as cores: more threads than one each only wait for one another.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import pytest
import tensorflow as tf
from small_models import set_seed

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent


def pytest_configure(config):
    """Splits the CPU in two, so that a real MirroredStrategy of two replicas exists."""
    del config
    # A background job of a shell ignores Ctrl-C, and so would the programs under test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cpus = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def _fixed_seed():
    set_seed(0)


@pytest.fixture(scope="session")
def shared_dir():
    """The folder with real images and golden numbers; skips where it is absent."""
    path = pathlib.Path(os.environ.get("IGAM_TF_SHARED", REPOSITORY.parent / "shared"))
    if not (path / "data" / "prepare.py").exists():
        pytest.skip(f"real data and golden numbers are not here ({path} is absent)")
    return path


@pytest.fixture(scope="session")
def tfds_dir(shared_dir, tmp_path_factory):
    """TFDS-prepared MNIST, CIFAR-10 and CIFAR-100: 600 train and 200 test images."""
    spec = importlib.util.spec_from_file_location(
        "prepare", shared_dir / "data" / "prepare.py"
    )
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    out = tmp_path_factory.mktemp("tfds")
    for name in ("mnist", "cifar10", "cifar100"):
        prepare.prepare(name, out, {"train": 600, "test": 200})
    return out
