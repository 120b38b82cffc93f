"""What a run folder believes: digests, damage, one process, what runs share."""

import json
import pathlib
import subprocess
import time
import types

import numpy as np
import pytest
from small_models import set_seed

from igam_tf import distribution, locks, models, training
from igam_tf.experiment import (
    Experiment,
    folder,
    preflight,
    provenance,
    runner,
    sharing,
    teacher,
)
from igam_tf.experiment.experiment import FIELDS, RESUMABLE
from igam_tf.experiment.settings import LATER
from igam_tf.experiment.setup import Setup
from igam_tf.training import callbacks, method_settings
from igam_tf.training.checkpoint import DIGESTS, Checkpoint
from igam_tf.training.methods import METHODS

BASE = {
    "source": "digits", "target": "digits_parity", "eps": 0.15, "step_size": 0.05,
    "teacher_eps": 0.15, "train_examples": 20,
}  # fmt: skip


def _model(seed):
    set_seed(seed)
    return models.small_cnn(num_classes=2, filters=(2,), hidden_units=2)


@pytest.fixture(name="run_folder")
def _run_folder(tmp_path):
    made = folder.RunFolder(Experiment(**BASE, run_dir=str(tmp_path)))
    made.record(Experiment(**BASE, run_dir=str(tmp_path)), [])
    made.save_model(_model(0), "teacher.keras")
    return made


def test_another_network_in_place_of_a_finished_one_is_refused(run_folder):
    assert run_folder.is_finished("teacher.keras")
    _model(1).save(run_folder.path / "teacher.keras")
    with pytest.raises(ValueError, match=r"teacher\.keras is not the file.*delete"):
        run_folder.load_model("teacher.keras", distribution.strategy("one"))


def test_a_folder_of_an_earlier_version_has_no_digests_and_goes_on(run_folder):
    (run_folder.path / folder.DIGESTS).unlink()
    assert run_folder.load_model("teacher.keras", distribution.strategy("one"))


def test_a_flag_that_came_after_the_folder_counts_as_its_default(run_folder):
    path = run_folder.path
    recorded = json.loads((path / "flags.json").read_text())
    for flag in LATER:
        recorded["settings"].pop(flag, None)
    (path / "flags.json").write_text(json.dumps(recorded))
    folder.RunFolder(Experiment(**BASE, run_dir=str(path)))
    # By default 0: the rows there were trained without it.
    with pytest.raises(ValueError, match="gradient_clip_norm: 0.0 there, 1 now"):
        folder.RunFolder(Experiment(**BASE, run_dir=str(path), gradient_clip_norm=1))


def test_damage_is_one_error_with_the_name_of_the_file(run_folder):
    """Cut and flipped archives, over many places."""
    path = run_folder.path / "teacher.keras"
    whole, strategy = path.read_bytes(), distribution.strategy("one")
    wanted = run_folder.load_model("teacher.keras", strategy).get_weights()
    generator = np.random.default_rng(0)
    refused = 0
    for trial in range(60):
        damaged = bytearray(whole)
        if trial % 3:
            damaged[generator.integers(len(whole))] ^= 1 << int(generator.integers(8))
        else:
            damaged = damaged[: generator.integers(len(whole))]
        path.write_bytes(damaged)
        try:
            found = run_folder.load_model("teacher.keras", strategy)
        except ValueError as error:
            assert "teacher.keras" in str(error) and "delete" in str(error)
            refused += 1
        else:
            # A date or the like: what is loaded is what was saved.
            for a, b in zip(found.get_weights(), wanted, strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > 40


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"settings": 3}', "{"])
def test_damaged_flags_are_named(run_folder, text):
    (run_folder.path / "flags.json").write_text(text)
    with pytest.raises(ValueError, match=r"flags\.json is damaged"):
        folder.RunFolder(Experiment(**BASE, run_dir=str(run_folder.path)))


@pytest.mark.parametrize(
    "text", ["\x00", "epoch,seconds\n1,x\n", "epoch,seconds\n1\n", "a,b\n1,2\n", '"']
)
def test_a_damaged_history_is_named(tmp_path, text):
    path = tmp_path / "history.csv"
    path.write_text(text)
    try:
        rows = callbacks.History(path).rows()
    except ValueError as error:
        assert "history.csv is damaged" in str(error) and "delete" in str(error)
    else:
        assert rows == []


def test_histories_call_test_images_what_they_are(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,seconds,val_accuracy\n1,2.0,0.5\n")
    history = callbacks.History(path)
    history.on_epoch_begin(1)
    history.on_epoch_end(1, {"val_accuracy": 0.75})
    assert [row["test_accuracy"] for row in history.rows()] == ["0.5", "0.75"]


class _Weights:
    """Stands for a method: knows what was loaded."""

    def load_weights(self, path):
        self.loaded = path.read_text()

    def save_weights(self, path):
        pathlib.Path(path).write_text(self.text)


def _checkpoints(path):
    made = Checkpoint(path)
    made.set_model(_Weights())
    for epoch in range(2):
        made.model.text = f"epoch {epoch + 1}"
        made.on_epoch_end(epoch)
    return made


def test_saving_takes_its_share_of_the_time(tmp_path, monkeypatch):
    """An epoch takes a second, saving too; all that passes is by this clock."""
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    made = Checkpoint(tmp_path, share=0.2)
    made.set_model(_Weights())
    made.set_params({"epochs": 8})
    saved = []
    for epoch in range(8):
        made.model.text = f"epoch {epoch + 1}"
        made.on_epoch_end(epoch)
        saved.append((tmp_path / f"epoch-{epoch + 1:04d}.weights.h5").exists())
    # The first one, then one in five seconds, and the last.
    assert saved == [True, False, False, False, True, False, False, True]


def test_a_checkpoint_of_another_name_or_content_is_left_out(tmp_path):
    made = _checkpoints(tmp_path)
    (tmp_path / "epoch-0002.weights.h5").rename(tmp_path / "epoch-0009.weights.h5")
    method = _Weights()
    assert made.restore(method) == 1 and method.loaded == "epoch 1"
    (tmp_path / "epoch-0001.weights.h5").write_text("epoch 7")
    with pytest.raises(ValueError, match=r"(?s)epoch-0009.*delete it.*epoch-0001.*SHA"):
        made.restore(_Weights())


def test_checkpoints_of_an_earlier_version_go_on(tmp_path):
    made = _checkpoints(tmp_path)
    (tmp_path / DIGESTS).unlink()
    assert made.restore(_Weights()) == 2


def test_two_runs_in_one_folder(tmp_path):
    experiment = Experiment(**BASE, run_dir=str(tmp_path), methods=("standard",))
    with locks.held(tmp_path, flag="--run_dir"):
        with pytest.raises(ValueError, match="--run_dir: .* is in use by process"):
            runner.run(experiment)
    assert not list(tmp_path.iterdir())


def test_a_class_of_no_image_is_refused_before_any_training(tmp_path):
    settings = {**BASE, "train_examples": 1, "batch_size": 1}
    experiment = Experiment(
        **settings, run_dir=str(tmp_path), methods=("standard", "pag")
    )
    with pytest.raises(ValueError, match="--train_examples=1: class .* pag"):
        runner.run(experiment)
    assert not list(tmp_path.iterdir())


def test_networks_that_do_not_fit_are_refused_before_any_training():
    """28 pixels cannot be halved three times; the row FT trains for hours before."""
    experiment = Experiment(
        source="mnist", target="mnist", methods=("finetune", "standard"),
        student_model="preact_resnet", depth=10, width=1,
    )  # fmt: skip
    task = types.SimpleNamespace(train=range(100))
    with pytest.raises(ValueError, match="--student_model.*divisible by 8"):
        preflight.check_rows(experiment, task, distribution.strategy("one"))


@pytest.mark.parametrize("asked, expected", [(0, None), (4, 4)])
def test_the_teacher_is_finetuned_in_micro_batches_too(asked, expected):
    experiment = Experiment(**BASE, micro_batch=asked)
    assert teacher.finetuning(experiment, _model(1), 0).micro_batch == expected


def test_a_setting_decides_every_stage_that_does_not_say_otherwise():
    every_method = tuple(METHODS)
    experiment = Experiment(**BASE, methods=every_method, controls=("zero",))
    deciding = {stage.name: set(f) for stage, f in sharing.trained_stages(experiment)}
    assert all({"seed", "precision", "micro_batch"} <= f for f in deciding.values())
    assert {"teacher_eps", "source"} <= deciding["teacher"]
    assert not {"eps", "target", "depth"} & deciding["teacher"]
    assert {"target", "finetune_epochs", "teacher_eps"} <= deciding["finetuned"]
    assert not {"teacher_eps", "eps", "source"} & deciding["standard"]
    assert {"eps", "step_size", "depth", "adversarial_steps"} <= deciding["pgd"]
    assert {"teacher_eps", "difference_weight", "gradient_norm_eps"} <= deciding[
        "igam-zero"
    ]
    assert "kdiga_alpha" not in deciding["igam"] | deciding["pgd"]
    # Nothing but where and what is looked at may change while a run goes on.
    assert set().union(*deciding.values()) == set(FIELDS) - RESUMABLE


@pytest.mark.parametrize("name", METHODS)
def test_a_method_reads_no_group_of_settings_that_it_does_not_use(name):
    """Or what it reads would not keep two runs' rows apart."""
    experiment = Experiment(**BASE)
    settings = experiment.settings_of(name)
    if settings.is_teacher:
        return
    student = models.small_cnn(num_classes=2, filters=(2,), hidden_units=2)
    teacher = None
    if settings.needs_teacher:
        teacher = training.with_new_logits(
            models.small_cnn(num_classes=10, filters=(2,), hidden_units=2),
            num_classes=2,
            image_shape=(8, 8, 1),
        )
    unused = method_settings.GROUPS - settings.uses
    for group in unused:
        # Reading it would now be an AttributeError.
        object.__setattr__(experiment, group, None)
    task = types.SimpleNamespace(name="digits_parity")
    setup = Setup(
        experiment=experiment,
        task=task,
        student=student,
        teacher=teacher,
        total_steps=8,
    )
    settings.build(setup)


def test_the_revision_is_this_packages_own(tmp_path):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    inside = tmp_path / "site-packages" / "igam_tf" / "folder.py"
    inside.parent.mkdir(parents=True)
    inside.write_text("")
    assert provenance.git_revision(inside) is None
