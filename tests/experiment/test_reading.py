"""What a run reads: no test image of the target where training images are held out."""

import types

import keras
import numpy as np
import pytest

from igam_tf import data
from igam_tf.data import registry
from igam_tf.experiment import Experiment, reading, results
from igam_tf.experiment.own_data import sentence
from igam_tf.experiment.plan import plan
from igam_tf.experiment.table import Row, Table

pytestmark = pytest.mark.fast

POISON = 255


@pytest.fixture(name="asked")
def _asked(monkeypatch):
    """Registers a data set whose test images have a mark; what its reader was asked."""
    asked = []

    def read(info, data_dir, *, train_examples, test_examples, **_):
        asked.append((train_examples, test_examples))
        labels = np.arange(60, dtype=np.int32) % 2
        images = np.arange(60, dtype=np.uint8)[:, None, None, None]
        train = data.Split(images[:train_examples], labels[:train_examples])
        test = data.Split(np.full_like(images, POISON)[:test_examples],
                          labels[:test_examples])  # fmt: skip
        return data.Task(info.name, 2, (1, 1, 1), train, test, 60, 60)

    monkeypatch.setattr(registry, "DATASETS", dict(registry.DATASETS))
    monkeypatch.setattr(registry, "_READERS", dict(registry._READERS))
    data.register(data.DatasetInfo("marked", 2, (1, 1, 1)), read)
    return asked


def _experiment(**flags):
    return Experiment(source="digits", target="marked", **flags)


def test_held_out_images_take_the_place_of_test_images(asked):
    experiment = _experiment(held_out_fraction=0.2, train_examples=30, eval_examples=8)
    task = reading.read_target(experiment)
    # Both splits are read together; of the test images one, which is dropped.
    assert asked == [(None, 1)]
    assert not (task.test.images == POISON).any()
    assert not set(task.test.images.ravel()) & set(task.train.images.ravel())
    assert (len(task.train), len(task.test)) == (30, 8)
    assert (task.train_total, task.test_total) == (48, 12)
    told = sentence("target", task)
    assert "8 others, held out" in told and "test images are not used" in told
    other = reading.read_target(experiment.replace(split_seed=1))
    assert set(other.test.images.ravel()) != set(task.test.images.ravel())


@pytest.mark.parametrize(
    "source, target, is_told",
    [("digits", "digits_parity", True), ("digits_0_to_7", "digits", True),
     ("digits", "marked", False)],
)  # fmt: skip
def test_it_is_told_that_a_teacher_is_trained_on_what_is_held_out(
    source, target, is_told, asked
):
    """The parity of digits has the images of the digits; one source has no 8 and 9."""
    experiment = Experiment(source=source, target=target, held_out_fraction=0.1)
    tasks = reading.read_source(experiment), reading.read_target(experiment)
    told = reading.held_out_warning(experiment, *tasks)
    held_out = tasks[1].test
    assert bool(told) == is_told
    if is_told:
        among = held_out.labels < 8 if target == "digits" else held_out.labels >= 0
        assert f"on {int(among.sum()):,} of the {len(held_out):,} images" in told
    without = experiment.replace(held_out_fraction=0.0)
    tasks = tasks[0], reading.read_target(without)
    assert reading.held_out_warning(without, *tasks) == ""


def test_without_it_the_test_images_are_read(asked):
    experiment = _experiment(train_examples=30, eval_examples=8)
    task = reading.read_target(experiment)
    assert asked == [(30, 8)]
    assert (task.test.images == POISON).all() and not task.held_out_fraction


def test_results_say_of_what_they_are(asked, monkeypatch):
    written = {}
    monkeypatch.setattr(
        results.evaluation,
        "evaluate",
        lambda *_, save, **kwargs: save({"robustbench": {}}),
    )
    for fraction in (0.2, 0.0):
        experiment = _experiment(held_out_fraction=fraction)
        folder = types.SimpleNamespace(
            load_model=lambda *_: keras.Sequential(),
            is_finished=lambda _: False,
            file=lambda *_: None,
            write_json=lambda name, value: written.update({name: value}),
        )
        run = types.SimpleNamespace(
            experiment=experiment,
            folder=folder,
            target=reading.read_target(experiment),
            say=lambda _: None,
            local_strategy=None,
            transfer_sources={},
            traced={},
        )
        results.evaluate(run, "standard")
        found = written["standard/evaluation.json"]
        assert found.get("held_out_fraction") == (fraction or None)


def test_only_what_learns_from_the_target_depends_on_it(asked):
    experiment = _experiment(methods=("standard", "igam"))
    deciding = {stage.name: stage.own_flags for stage in plan(experiment)}
    assert "held_out_fraction" not in deciding["teacher"]
    for name in ("finetuned", "standard", "igam"):
        assert "held_out_fraction" in deciding[name]


def test_a_table_has_rows_of_one_kind(asked):
    rows = tuple(
        Row(name, _experiment(held_out_fraction=fraction, methods=("standard",)))
        for name, fraction in (("a", 0.1), ("b", 0.0))
    )
    with pytest.raises(ValueError, match="held_out_fraction"):
        Table("t", "T", rows)


def test_a_row_starts_from_one_of_the_same_normalization(asked):
    first = Row("A", _experiment(methods=("standard",)))

    def table(method, model="conv_net"):
        start = _experiment(
            methods=(method,), student_checkpoint="row:a", student_model=model
        )
        return Table("t", "T", (first, Row("B", start)))

    assert table("pgd").rows[1].start == "a"
    with pytest.raises(ValueError, match="'B' starts from 'A', .*zero_mean.* none"):
        table("pag")
    # It has none inside.
    assert table("pag", "mnist_cnn").rows[1].start == "a"


def test_rows_that_would_undo_each_others_evaluation_are_refused(asked):
    """They have one run folder, whose rows are all evaluated with the last settings."""
    first = Row("A", _experiment(methods=("standard",)))

    def table(**settings):
        return Table("t", "T", (first, Row("B", _experiment(**settings))))

    words = "'A' and 'B' .*differ in --attacks, --eval_examples: "
    with pytest.raises(ValueError, match=words):
        table(methods=("pgd",), attacks=("clean", "spsa"), eval_examples=7)
    assert len(table(methods=("pgd",)).runs()) == 1
    # In run folders of their own.
    assert len(table(methods=("pgd",), attacks=("spsa",), epochs=77).runs()) == 2
    assert len(table(methods=("pgd",), controls=("random_teacher",)).runs()) == 2
