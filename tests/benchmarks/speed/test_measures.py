"""Each benchmark once, at its smallest: what it compares is equal, and it prints."""

import argparse
import os

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.speed import (
    attack_time,
    hvp,
    input_pipeline,
    memory,
    networks,
    recompute,
    startup,
    step_time,
    tf1_graph,
    tf1_step,
    torch_step,
)
from igam_tf.training import reference

SIZE = argparse.Namespace(depth=8, width=1, batch_size=4)
SMALLEST = ["--depth=8", "--width=1", "--batch_size=4", "--rounds=1"]


def interpreter(variable, packages):
    """Another Python, named by an environment variable."""
    path = os.environ.get(variable, "")
    if not path:
        pytest.skip(f"{variable} does not name a Python that has {packages}")
    return path


def test_step_time_prints_passes_and_ratios(capsys):
    step_time.main(SMALLEST)
    text = capsys.readouterr().out
    assert "| IGAM  |      8 |    0.47 |" in text
    assert "schedule / PGD-7" in text


def test_tf1_graph_computes_our_loss():
    method = networks.igam(SIZE, **{**reference.arguments(), "matching_start": 0})
    networks.compiled(method)
    step = tf1_graph.Step(
        method, SIZE.depth, SIZE.width, tf1_step.settings_of(networks)
    )
    images, labels = networks.random_batch(SIZE)
    theirs = step.run(images, labels, step=0, every=networks.CYCLE)
    ours = networks.steps(method, networks.constant_batches(SIZE), count=1)()
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_torch_step_computes_our_loss(capsys):
    python = interpreter("IGAM_TF_TORCH_PYTHON", "torch")
    torch_step.main([*SMALLEST, f"--torch_python={python}", "--cases", "eager, NCHW"])
    row = next(r for r in capsys.readouterr().out.splitlines() if "eager, NCHW " in r)
    assert float(row.split("|")[4]) < 1e-4


def test_attack_time_of_ours_alone(capsys):
    options = ["--num_images=16", "--batch_size=8", "--libraries"]
    attack_time.main([*SMALLEST, *options])
    assert "| ours   |" in capsys.readouterr().out


def test_attack_time_of_foolbox_and_art_equals_ours(capsys):
    python = interpreter("IGAM_TF_EVAL_PYTHON", "tensorflow, foolbox and art")
    options = ["--num_images=16", "--batch_size=8", f"--eval_python={python}"]
    attack_time.main([*SMALLEST, *options, "--libraries", "foolbox", "art"])
    lines = capsys.readouterr().out.split("standing")[1].splitlines()[2:5]
    assert len({line.split("|")[2].strip() for line in lines}) == 1


def test_input_pipeline_draws_what_the_steps_take(tfds_dir):
    args = argparse.Namespace(
        dataset="cifar10", data_dir=str(tfds_dir), image_noise=8 / 255, batch_size=4
    )
    batches, _ = input_pipeline.real_batches(args)
    input_pipeline.only_input(batches, 2)()
    for real, fixed in zip(
        next(iter(batches)), networks.random_batch(args), strict=True
    ):
        assert (real.shape, real.dtype.as_numpy_dtype) == (fixed.shape, fixed.dtype)


def test_startup_times_a_process_and_tells_of_its_failure():
    python = startup.sys.executable
    # As long on a fast processor as on a slow one.
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    sample = startup.run([python, "-c", busy])
    assert sample.wall > 0.1 and sample.cpu > 0.1
    with pytest.raises(RuntimeError, match="status 3, expected 0"):
        startup.run([python, "-c", "raise SystemExit(3)"])


def test_memory_stops_what_does_not_fit():
    args = argparse.Namespace(depth=8, width=1, method="IGAM", limit_gib=0.25)
    peak, _, fits = memory.try_batch(args, batch_size=4, micro_batch=None)
    assert not fits and peak > 0.25 * memory.GIB


def test_recursive_checkpoint_has_the_same_second_derivative():
    kernel = 0.2 * tf.random.normal([3, 3, 4, 4])
    images = tf.random.normal([2, 6, 6, 4])

    def second(function):
        with tf.GradientTape() as outer:
            outer.watch(kernel)
            with tf.GradientTape() as inner:
                inner.watch(images)
                loss = tf.reduce_sum(function(images, kernel)[:, :3] ** 3)
            norm = tf.reduce_sum(inner.gradient(loss, images) ** 2)
        return outer.gradient(norm, kernel).numpy()

    wanted = second(recompute.block)
    found = second(recompute.checkpoint(recompute.block))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * abs(wanted).max())
    # If TensorFlow learns it one day, the recursion is no longer needed.
    with pytest.raises(NotImplementedError, match="recompute_grad"):
        second(tf.recompute_grad(recompute.block))


def test_forms_of_the_second_derivative_are_equal():
    _, values = hvp.compile_forms(hvp.Problem(SIZE), jit_compile=False)
    assert set(values) == set(hvp.FORMS)
    reference_values = values["reverse_over_reverse"]
    largest = max(np.abs(value).max() for value in reference_values)
    for found in values.values():
        for value, wanted in zip(found, reference_values, strict=True):
            np.testing.assert_allclose(value, wanted, atol=1e-4 * largest)
