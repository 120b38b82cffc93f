"""Every table of the two other papers at --size=tiny: each row takes a training step.

Rows that differ in the size of a number only are one: from flags and networks to the
second derivatives of a step, and an evaluation, they are the same program. So are rows
whose method, network and activation were all there before, in other company. What a
whole run does around them is in `test_other_papers_run.py`.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from igam_tf import data, evaluation, pixels
from igam_tf.cli import recipes
from igam_tf.evaluation import input_statistics
from igam_tf.experiment import estimate, networks
from igam_tf.experiment.plan import plan
from igam_tf.experiment.stages import Row
from igam_tf.training import replicas

TABLES = sorted(
    path.stem
    for path in recipes.FLAGS_DIR.glob("*.cfg")
    if path.stem.startswith(("gradnorm", "edge", "pag", "methods"))
)
# Settings of a row that its first step does not look at.
ASIDE = {"target", "student_checkpoint", "epoch_attack"}


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

    is_streamed = False

    @functools.cached_property
    def target(self):
        info = self.experiment.data.info("target")
        return _noise(info.name, info.num_classes, info.image_shape)

    def _noise(self, role, num_train):
        return self.target


@pytest.fixture
def taken(monkeypatch):
    """Logs of the steps: instead of timed ones each stage takes one, of four images.

    Without `fit`, its data sets, and the check of second derivatives before it.
    """
    logs = []

    def one_step(method, task, batch_size, steps, batches=None, partners=None):
        images, labels = task.train.images[:batch_size], task.train.labels[:batch_size]
        batch = tf.constant(_floats(images)), tf.constant(labels)
        found = replicas.train_on_batch(method, batch)
        logs.append({name: float(value) for name, value in found.items()})
        return estimate.Measured()

    monkeypatch.setattr(estimate, "_measured", one_step)
    return logs


def _floats(images):
    return np.asarray(pixels.as_float(images), np.float32)


def _stage(experiment):
    """The stage of a row's own method."""
    return [stage for stage in plan(experiment) if isinstance(stage, Row)][-1]


def _parts(experiment):
    """What a row is made of; of a number only whether there is one."""
    flags = {
        name: value > 0 if isinstance(value, (int, float)) else value
        for name, value in experiment.flags().items()
        if name in _stage(experiment).own_flags - ASIDE
    }
    method = {"method": experiment.methods}
    network = {"student_model": flags.pop("student_model")}
    activation = {"activation": flags.pop("activation")}
    parts = ({**method, **flags}, {**method, **network}, activation)
    return [tuple(sorted(part.items())) for part in parts]


@functools.cache
def all_rows():
    """Tuples (table, label, experiment, whether there is something new in it)."""
    found, seen = [], set()
    for name in TABLES:
        table, _ = recipes.parse([f"--flagfile={name}", "--size=tiny"])
        for row in table.rows:
            experiment = row.experiment.replace(batch_size=4, student_checkpoint="")
            parts = _parts(experiment)
            found.append((name, row.label, experiment, not seen.issuperset(parts)))
            seen.update(parts)
    return found


@pytest.mark.parametrize("name", TABLES)
def test_every_row_of_every_table_takes_a_step(name, taken, eagerly):
    for table, label, experiment, is_new in all_rows():
        if table == name and is_new:
            _Tiny(experiment).of(_stage(experiment))
            logs = taken.pop()
            assert np.isfinite(list(logs.values())).all(), (label, logs)
            assert logs["grad_norm"] > 0, label


def test_every_network_is_evaluated_as_the_tables_ask(eagerly, monkeypatch):
    monkeypatch.setattr(input_statistics, "_ITERATIONS", 2)
    seen = set()
    for _, label, experiment, _ in all_rows():
        settings, attack = experiment.evaluation, experiment.attack
        method = experiment.settings_of(experiment.methods[0])
        kind = (experiment.network("student"), settings.attacks, settings.statistics)
        if kind in seen:
            continue
        seen.add(kind)
        task = _Tiny(experiment).target
        model = networks.student(experiment, method.student_normalization)
        images, labels = _floats(task.test.images[:2]), task.test.labels[:2]
        found = evaluation.evaluate(
            model, (images, labels), attacks=settings.attacks, eps=attack.eps,
            step_size=attack.step_size, norm=attack.norm, batch_size=2, panel=False,
            progress=False,
        )  # fmt: skip
        assert found["attacks"].keys() == set(settings.attacks), label
        statistics = evaluation.gradient_statistics(
            model, images, labels, settings.statistics or ("gradient_l1",),
            is_robust=np.array([True, False]), batch_size=2,
        )  # fmt: skip
        assert all(np.isfinite(found["mean"]) for found in statistics.values()), label
