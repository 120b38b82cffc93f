"""What runs of one table share: made of the same files, whatever their names say."""

import functools
import hashlib
import json
import sys

import keras
import pytest

from igam_tf import checkpoints, files
from igam_tf.experiment import Experiment, own_networks
from igam_tf.experiment.folder import RunFolder
from igam_tf.experiment.sharing import share_finished

pytestmark = pytest.mark.fast

FLAGS = {"source": "digits", "target": "digits_parity", "methods": ("igam",)}


def _save(path, units):
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)]).save(path)
    return files.digest(path)


@pytest.fixture(name="table")
def _table(tmp_path):
    """A function: what a run shares of another, which recorded a teacher's digest."""
    teacher = tmp_path / "teacher.keras"
    _save(teacher, 3)
    digest = checkpoints.digest(teacher)

    def shared(settings=None, **recorded):
        experiment = Experiment(
            **FLAGS,
            teacher_checkpoint=str(teacher),
            run_dir=str(tmp_path / "table" / "own"),
            epoch_attack=(settings or {}).get("epoch_attack", ""),
        )
        other = tmp_path / "table" / "other"
        outputs = {name: _save(other / name, 4) for name in ("teacher.keras",
                   "finetuned.keras", "igam/student.keras")}  # fmt: skip
        (other / "digests.json").write_text(json.dumps(outputs))
        theirs = json.loads(json.dumps({**experiment.flags(), **(settings or {})}))
        described = {"settings": theirs, **recorded}
        (other / "flags.json").write_text(json.dumps(described))
        share_finished(experiment)
        own = tmp_path / "table" / "own"
        return {name for name in outputs if (own / name).exists()}

    return shared, digest


def test_of_the_same_teacher_all_is_shared(table):
    shared, digest = table
    everything = {"teacher.keras", "finetuned.keras", "igam/student.keras"}
    assert shared(teacher={"file": "x", "sha256": digest}) == everything


def test_a_teacher_that_was_replaced_shares_nothing(table):
    shared, digest = table
    assert shared(teacher={"file": "x", "sha256": digest[::-1]}) == set()


def test_what_was_not_recorded_is_not_shared(table):
    shared, _ = table
    assert shared() == set()


def test_files_are_the_same_by_their_contents_wherever_they_are(table):
    """A folder that has moved, or another name of the same file."""
    shared, digest = table
    everything = {"teacher.keras", "finetuned.keras", "igam/student.keras"}
    elsewhere = {"teacher_checkpoint": "elsewhere/robust.keras"}
    recorded = {"file": "elsewhere/robust.keras", "sha256": digest}
    assert shared(settings=elsewhere, teacher=recorded) == everything


def test_what_an_earlier_version_recorded_of_a_file_is_known(table, tmp_path):
    shared, _ = table
    whole = hashlib.sha256((tmp_path / "teacher.keras").read_bytes()).hexdigest()
    everything = {"teacher.keras", "finetuned.keras", "igam/student.keras"}
    assert shared(teacher={"file": "x", "sha256": whole}) == everything


@pytest.mark.parametrize(
    "theirs, is_shared",
    [
        ({"epoch_attack": "pgd5"}, True),
        ({"epoch_attack": "pgd5", "eps": 0.5}, False),
        ({"epoch_attack": "pgd5", "step_size": 0.5}, False),
        ({"epoch_attack": "pgd5", "norm": "l2"}, False),
        ({"eps": 0.5}, True),
    ],
)
def test_histories_hold_numbers_of_one_attack(theirs, is_shared, table):
    """Finetuning does not depend on the radius; its history does."""
    shared, digest = table
    found = shared(settings=theirs, teacher={"file": "x", "sha256": digest})
    assert ("finetuned.keras" in found) == is_shared


def two_units(*, num_classes, image_shape, units=2):
    layers = [keras.Input(image_shape), keras.layers.Flatten()]
    dense = keras.layers.Dense(units), keras.layers.Dense(num_classes)
    return keras.Sequential([*layers, *dense])


def test_a_function_that_makes_another_network_shares_nothing(tmp_path, monkeypatch):
    experiment = Experiment(
        target="digits_parity",
        methods=("standard",),
        student_model=f"{__name__}:two_units",
        run_dir=str(tmp_path / "table" / "own"),
    )
    other = experiment.replace(run_dir=str(tmp_path / "table" / "other"))
    made = RunFolder(other)
    made.record(other, [], own_networks.recorded(other))
    made.save_model(keras.Sequential([keras.Input((2,))]), "standard/student.keras")
    four = functools.partial(two_units, units=4)
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "two_units", four)
        share_finished(experiment)
        assert not (tmp_path / "table/own/standard/student.keras").exists()
        with pytest.raises(ValueError, match="the network that it makes is not the"):
            own_networks.check_recorded(other, made)
    # Keras numbers the names of layers through; the network is the same.
    own_networks.check_recorded(other, made)
    share_finished(experiment)
    assert (tmp_path / "table/own/standard/student.keras").exists()
