"""Every table of the two other papers at --size=tiny: each row takes a training step.

Rows that differ in the size of a number only are one: from flags and networks to the
second derivatives of a step, and an evaluation, they are the same program. What a whole
run does around them is in `test_other_papers_run.py`.
"""

import dataclasses
import functools
import math

import numpy as np
import pytest

from igam_tf import data, evaluation
from igam_tf.cli import recipes
from igam_tf.evaluation import input_statistics
from igam_tf.experiment import estimate, networks
from igam_tf.experiment.plan import plan
from igam_tf.experiment.stages import Row

TABLES = sorted(
    path.stem
    for path in recipes.FLAGS_DIR.glob("*.cfg")
    if path.stem.startswith(("gradnorm", "edge", "pag", "methods"))
)
# Settings of a row that its first step and its evaluation do not look at.
ASIDE = ("target", "student_checkpoint", "epoch_attack", "run_dir")


@functools.cache
def _noise(name, num_classes, image_shape):
    """A task of noise: as many images of each class as targets need."""
    if name == "points_on_a_line":
        return data.read(name, train_examples=20, test_examples=8)
    rng = np.random.default_rng(0)
    labels = np.arange(2 * num_classes, dtype=np.int32) % num_classes
    images = rng.integers(0, 256, (len(labels), *image_shape), np.uint8)
    split = data.Split(images, labels)
    return data.Task(
        name, num_classes, image_shape, split, split, len(split), len(split)
    )


class _Tiny(estimate.Estimate):
    """Takes steps of images of noise, without data on disk."""

    @functools.cached_property
    def target(self):
        info = self.experiment.data.info("target")
        return _noise(info.name, info.num_classes, info.image_shape)

    def _noise(self, role, num_train):
        return self.target


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    """Two steps, of which the first one is not timed; few power iterations."""
    monkeypatch.setattr(estimate, "_TIMED_STEPS", 2)
    monkeypatch.setattr(input_statistics, "_ITERATIONS", 2)


def _experiment(row):
    """A row with small batches, whatever it starts from."""
    return row.experiment.replace(batch_size=4, student_checkpoint="")


def _kind(experiment):
    """The settings, of a number only whether there is one."""
    return tuple(
        (name, value > 0 if isinstance(value, (int, float)) else value)
        for name, value in sorted(experiment.flags().items())
        if name not in ASIDE
    )


@functools.cache
def distinct_rows():
    """Tuples (table, label, experiment) of rows that are like none before."""
    found = {}
    for name in TABLES:
        table, _ = recipes.parse([f"--flagfile={name}", "--size=tiny"])
        for row in table.rows:
            experiment = _experiment(row)
            found.setdefault(_kind(experiment), (name, row.label, experiment))
    return tuple(found.values())


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_every_table_is_trained(name, eagerly):
    for table, label, experiment in distinct_rows():
        if table != name:
            continue
        (stage,) = [s for s in plan(experiment) if isinstance(s, Row)]
        found = _Tiny(experiment).of(stage)
        assert found.parameters > 100 and found.seconds > 0, label


def test_every_network_is_evaluated_as_the_tables_ask(eagerly):
    seen = set()
    for table, label, experiment in distinct_rows():
        settings = experiment.evaluation
        normalization = experiment.settings_of(
            experiment.methods[0]
        ).student_normalization
        task = _Tiny(experiment).target
        student = dataclasses.replace(experiment.student, natural_epochs=0)
        kind = (student, normalization, settings.attacks, settings.statistics)
        if kind in seen:
            continue
        seen.add(kind)
        model = networks.student(experiment, normalization)
        images = task.test.images[:4] / np.float32(255)
        found = evaluation.evaluate(
            model, (images, task.test.labels[:4]), attacks=settings.attacks,
            eps=experiment.attack.eps, step_size=experiment.attack.step_size,
            norm=experiment.attack.norm, batch_size=4, panel=False, progress=False,
        )  # fmt: skip
        assert found["attacks"].keys() == set(settings.attacks), (table, label)
        statistics = settings.statistics and evaluation.gradient_statistics(
            model, images, task.test.labels[:4], settings.statistics,
            is_robust=np.array([True, False, True, False]), batch_size=4,
        )  # fmt: skip
        assert set(statistics) == set(settings.statistics)
        assert all(math.isfinite(found["mean"]) for found in dict(statistics).values())
