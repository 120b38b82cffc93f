"""An experiment's settings, and the stages that they become."""

import re

import pytest

from igam_tf.evaluation.corruptions import cost
from igam_tf.experiment import Experiment, controls
from igam_tf.experiment.dry_run import dry_run
from igam_tf.experiment.plan import plan
from igam_tf.training.methods import METHODS

DIGITS = {
    "source": "digits",
    "target": "digits_parity",
    "eps": 0.15,
    "step_size": 0.05,
    "teacher_eps": 0.15,
    "width": 1,
    "teacher_width": 1,
    "attacks": ("clean", "fgsm", "pgd3x2", "square10"),
}


def names(experiment, **kwargs):
    return [stage.name for stage in plan(experiment, **kwargs)]


@pytest.mark.fast
def test_settings_stand_in_groups_and_are_found_by_their_flags():
    experiment = Experiment(**DIGITS, edge_weight=3.0, controls=["zero"])
    assert experiment.attack.eps == experiment.teacher.eps == 0.15
    assert experiment.settings_of("edges").weight == 3.0
    assert experiment.flags()["edge_weight"] == 3.0
    assert experiment.table.controls == ("zero",)
    other = experiment.replace(width=2)
    assert (other.student.width, other.teacher.width) == (2, 1)
    assert experiment == other.replace(width=1) != other
    assert hash(experiment) == hash(other.replace(width=1))
    with pytest.raises(TypeError, match="widht is no setting"):
        Experiment(**DIGITS, widht=2)


def test_flat_names_still_work_and_say_so():
    with pytest.warns(DeprecationWarning, match="experiment.edge_weight is deprecated"):
        assert Experiment(**DIGITS).edge_weight == 10.0
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = Experiment(**DIGITS).nothing


@pytest.mark.fast
def test_stages_in_order():
    methods = ("standard", "finetune", "igam", "pgd")
    assert names(Experiment(**DIGITS, methods=methods)) == [
        "teacher",
        "standard",
        "finetune",
        "finetuned",
        "igam",
        "pgd",
        *(f"evaluation of {method}" for method in methods),
        "results",
    ]


def test_only_what_the_rows_need():
    assert names(Experiment(**DIGITS, methods=("pgd",)))[0] == "pgd"
    # It starts from the trained row standard, which stands in the table then.
    found = names(Experiment(**DIGITS, methods=("gradient_norm",)))
    assert found[:3] == ["standard", "gradient_norm", "evaluation of standard"]
    scratch = Experiment(
        **DIGITS, methods=("gradient_norm",), gradient_norm_start="scratch"
    )
    assert "standard" not in names(scratch)


def test_a_teacher_of_a_file_is_measured_before_it_is_used():
    experiment = Experiment(**DIGITS, teacher_checkpoint="x.keras", methods=("igam",))
    assert names(experiment)[:3] == ["teacher accuracy", "teacher", "finetuned"]
    assert "teacher accuracy" not in names(Experiment(**DIGITS, methods=("igam",)))


def test_controls_with_a_teacher_of_their_own():
    experiment = Experiment(
        **DIGITS, methods=("igam",), controls=("natural_teacher", "zero")
    )
    stages = {stage.name: stage for stage in plan(experiment)}
    assert stages["igam-natural_teacher"].inputs == ("finetuned-natural_teacher",)
    assert stages["finetuned-natural_teacher"].inputs == ("teacher-natural_teacher",)
    assert stages["igam-zero"].inputs == ("finetuned",)


@pytest.mark.fast
def test_methods_that_match_no_gradient_have_controls_of_the_teacher_alone():
    others = ["natural_teacher", "random_teacher"]
    assert controls.rows_of("rslad", controls.CONTROLS) == [
        "rslad",
        *(f"rslad-{name}" for name in others),
    ]
    assert controls.rows_of("rrm", ("zero", "shuffled")) == ["rrm"]
    assert controls.rows_of("igdm", ("zero",)) == ["igdm", "igdm-zero"]


def test_earlier_rows_are_evaluated_and_not_trained():
    experiment = Experiment(**DIGITS, methods=("pgd",))
    found = names(experiment, finished_rows=("standard", "kdiga-zero"))
    assert found[:4] == [
        "pgd",
        "evaluation of standard",
        "evaluation of kdiga-zero",
        "evaluation of pgd",
    ]


@pytest.mark.fast
def test_inputs_come_first():
    experiment = Experiment(
        **DIGITS,
        methods=tuple(METHODS),
        controls=("natural_teacher", "random_teacher", "zero", "shuffled"),
    )
    seen = set()
    for stage in plan(experiment):
        assert seen.issuperset(stage.inputs)
        seen.add(stage.name)


def test_dry_run_measures_a_step_of_every_stage_and_writes_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    # 1,000 hours for every image on which a row is evaluated, in all its corrupted
    # forms: beside them nothing counts that is timed here.
    monkeypatch.setattr(cost, "seconds_an_image", lambda *args, **kwargs: 3.6e6)
    methods = ("finetune", "igam", "pgd")
    experiment = Experiment(
        **DIGITS,
        methods=methods,
        epochs=3,
        natural_finetune_epochs=2,
        corruptions=("contrast",),
    )
    lines = list(dry_run(experiment))
    rows = {line.split("  ")[0]: re.split("  +", line) for line in lines}
    # 1257 images in batches of 32, three times.
    assert "120" in rows["pgd"] and "120" in rows["igam"]
    assert "80" in rows["natural_start-zero_mean_unit_norm"]
    # 540 test images: one step of FGSM, three of PGD, twice.
    assert "3,780" in rows["evaluation of pgd"]
    *_, duration, memory, remark = rows["evaluation of pgd"]
    assert remark == "without square10" and memory.endswith(" GiB")
    hours, unit = duration.split()
    assert unit == "h" and float(hours) == pytest.approx(540_000, rel=1e-3)
    *_, hours, unit, _, _ = lines[-1].split()
    assert unit == "h," and float(hours) == pytest.approx(3 * 540_000, rel=1e-3)
    assert not list(tmp_path.iterdir())
