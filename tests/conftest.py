"""Fixtures shared by all tests: real data where it is, two logical CPUs, seeds.

The tests are meant to pass wherever they run, and whatever the networks they train turn
out to be. To see that, set one of these before `python -m pytest`:

    IGAM_TF_TEST_SEED=1          other seeds for all networks and trainings of the tests
    TF_NUM_INTRAOP_THREADS=2 TF_NUM_INTEROP_THREADS=2    two threads (with -n: one)
    TF_ENABLE_ONEDNN_OPTS=0      other kernels
    ONEDNN_MAX_CPU_ISA=AVX2      the kernels of another processor
    IGAM_TF_TEST_GRAPPLER=1      graphs that TensorFlow rewrites before it runs them

They reach the processes that tests start, too.
"""

import gc
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

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# The files that take longest: at the end, one of them would run alone.
LONGEST_FIRST = (
    "experiment/test_quickstart.py",
    "training/test_replicas.py",
    "experiment/test_run.py",
    "test_notebooks.py",
    "evaluation/test_planted_failures.py",
    "experiment/test_workers.py",
    "golden/test_igam_parity.py",
    "training/test_pag.py",
    "training/test_sister_methods.py",
    "benchmarks/speed/test_measures.py",
    "training/test_keras_interface.py",
    "cli/test_flags.py",
    "training/test_micro_batches.py",
    "training/test_fed_data.py",
    "training/test_resume.py",
    "evaluation/test_evaluation_resume.py",
    "evaluation/test_held_out_failures.py",
    "models/test_backbone.py",
    "docs/test_add_a_method.py",
    "docs/test_add_an_attack.py",
    "docs/test_add_a_data_set.py",
)


def pytest_configure(config):
    """Splits the CPU in two, so that a real MirroredStrategy of two replicas exists."""
    # A background job of a shell ignores Ctrl-C, and so would the programs under test.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if getattr(config.option, "numprocesses", None) and not hasattr(
        config, "workerinput"
    ):
        # The process that hands tests out to workers runs none: they wait for it.
        return
    import tensorflow as tf

    _record_no_stacks()
    _rewrite_graphs("IGAM_TF_TEST_GRAPPLER" in os.environ)
    cpus = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def _record_no_stacks():
    """Traced operations do not remember the Python stack that made them.

    Some hundred frames each, beneath pytest: a tenth of all tracing. Only TensorFlow's
    errors print them. The processes that tests start remember.
    """
    try:
        from tensorflow.python.util import tf_stack

        one_for_all = tf_stack.extract_stack()
    except (ImportError, AttributeError):  # Private: tests go on, slower, without it.
        return
    tf_stack.extract_stack = lambda stacklevel=1: one_for_all


def _rewrite_graphs(yes):
    """Whether Grappler rewrites a traced graph: a third of the time of its first call.

    It does for users, and so for all that tests start in other processes (quickstart,
    notebooks, golden parity). In the tests' own, `rewritten_graphs` asks for it.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not yes})


def pytest_ignore_collect(collection_path, config):
    """With `-m fast`, files without a fast test are not even imported."""
    if config.option.markexpr != "fast" or collection_path.suffix != ".py":
        return None
    return "mark.fast" not in collection_path.read_text() or None


def pytest_collection_modifyitems(items):
    """The longest files first."""
    places = {REPOSITORY / "tests" / name: i for i, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """The tests of a file stay together, for its fixtures, and files in their order."""
    from xdist.scheduler import LoadFileScheduling

    if config.getvalue("dist") not in ("load", "loadfile"):
        return None
    config.option.loadscopereorder = False
    return LoadFileScheduling(config, log)


def pytest_collection_finish(session):
    """Leaves what is imported out of garbage collections: half a million objects."""
    del session
    _keep_what_is_alive()


@pytest.fixture(autouse=True, scope="module")
def _collected():
    """Collects a file's garbage at its end, and then leaves what stays alone.

    Every trace makes so many objects that Python would look through all of them, those
    of the files before, too, every second or so: a tenth of the suite's time.
    """
    yield
    _keep_what_is_alive()


def _keep_what_is_alive():
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(autouse=True)
def _fixed_seed():
    import small_models

    small_models.set_seed(0)


@pytest.fixture
def eagerly():
    """No function is traced, see `small_models.eagerly`."""
    import small_models

    with small_models.eagerly():
        yield


@pytest.fixture
def rewritten_graphs():
    """Grappler rewrites what is called for the first time, as it does for users."""
    _rewrite_graphs(True)
    yield
    _rewrite_graphs("IGAM_TF_TEST_GRAPPLER" in os.environ)


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
