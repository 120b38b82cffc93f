"""What a run's evaluation is asked for beside attacks, and rows evaluated before."""

import types

import pytest

from igam_tf.experiment import folder, results
from igam_tf.experiment.settings import LATER, EvaluationSettings


def test_corruptions_of_a_run(tmp_path):
    assert EvaluationSettings().asked_corruptions() is None
    asked = EvaluationSettings(corruptions=("fog",), severities=("1", "5"))
    assert asked.asked_corruptions().kinds == ("fog",)
    assert asked.asked_corruptions().severities == (1, 5)
    with pytest.raises(ValueError, match="--severities=1,6: expected numbers"):
        EvaluationSettings(
            corruptions=("all",), severities=("1", "6")
        ).asked_corruptions()
    with pytest.raises(ValueError, match="--corruptions: corruption 'frog'"):
        EvaluationSettings(corruptions=("frog",)).asked_corruptions()
    with pytest.raises(FileNotFoundError, match="--corruptions: .*no such folder"):
        EvaluationSettings(corruptions=(f"{tmp_path}/no",)).asked_corruptions()


def test_figures_go_with_the_results_that_they_show(tmp_path):
    made = folder.Folder(tmp_path)
    results_now = {"title": "a -> b", "rows": {}}
    results.write(results_now, made)
    drawn = [tmp_path / name for name in ("report.html", "bars.png", "robustness.png")]
    for path in (*drawn, tmp_path / "mine.png"):
        path.write_text("drawn")
    results.write(dict(results_now), made)
    assert all(path.exists() for path in drawn)
    results.write({**results_now, "title": "a -> c"}, made)
    assert not any(path.exists() for path in drawn)
    assert (tmp_path / "mine.png").exists()


def test_a_row_evaluated_before_there_were_corruptions_is_evaluated():
    def run_of(recorded, settings):
        return types.SimpleNamespace(
            folder=types.SimpleNamespace(
                read_json=lambda name, way_out: {"settings": recorded}
            ),
            experiment=types.SimpleNamespace(evaluation=settings),
        )

    flags = EvaluationSettings(num_examples=7).flags()
    before = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in flags.items()
        if name not in LATER
    }
    assert "corruptions" not in before and "attacks" in before
    same = EvaluationSettings(num_examples=7)
    assert results.is_evaluated(run_of(before, same), "igam")
    for other in (
        EvaluationSettings(num_examples=8),
        EvaluationSettings(num_examples=7, corruptions=("all",)),
    ):
        assert not results.is_evaluated(run_of(before, other), "igam")
