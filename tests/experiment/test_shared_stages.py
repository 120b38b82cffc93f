"""What runs of one table share: made of the same files, whatever their names say."""

import json

import keras
import pytest

from igam_tf import checkpoints, files
from igam_tf.experiment import Experiment
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

    def shared(**recorded):
        experiment = Experiment(
            **FLAGS,
            teacher_checkpoint=str(teacher),
            run_dir=str(tmp_path / "table" / "own"),
        )
        other = tmp_path / "table" / "other"
        outputs = {name: _save(other / name, 4) for name in ("teacher.keras",
                   "finetuned.keras", "igam/student.keras")}  # fmt: skip
        (other / "digests.json").write_text(json.dumps(outputs))
        settings = json.loads(json.dumps(experiment.flags()))
        described = {"settings": settings, **recorded}
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
