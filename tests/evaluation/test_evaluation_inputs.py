"""What `evaluate` refuses before any work, keeps until the end, and does on Ctrl-C."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import igam_tf
from igam_tf import attacks, interrupts, locks
from igam_tf.attacks.autoattack import APGD, FAB, Square

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 4, 4, 1)).astype("float32")
LABELS = RNG.integers(0, 3, 40).astype("int32")
QUIET = {"panel": False, "progress": False}


@pytest.fixture(name="model")
def _model():
    return keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"step_size": 0.0}, "step_size is 0.0: expected more than 0"),
        ({"step_size": -0.1}, "step_size"),
        ({"attacks": None}, "attacks is None: expected names"),
        ({"attacks": 3}, "attacks is 3: expected names"),
        (
            {"transfer_from": {"x": "y"}},
            r"transfer_from\['x'\] is 'y': expected a Keras",
        ),
        ({"transfer_from": "y.keras"}, "transfer_from is 'y.keras'"),
        ({"transfer_from": 3}, "transfer_from is int"),
    ],
)
def test_arguments_are_refused(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        igam_tf.evaluate(
            model, (IMAGES, LABELS), **{"attacks": ["pgd20"], **QUIET, **arguments}
        )


def of_whole_numbers():
    """A network of pixels 0 to 255: Keras casts images in [0, 1] to 0 and 1."""
    return keras.Sequential(
        [
            keras.Input((4, 4, 1), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


@pytest.mark.parametrize(
    "use",
    [
        lambda model, data: igam_tf.evaluate(model, data, "clean", **QUIET),
        lambda model, data: igam_tf.evaluate(model, data, "fgsm", panel=True),
        lambda model, data: attacks.fgsm(eps=0.1)(model, *data),
        lambda model, data: attacks.FMN(eps=0.1).nearest(model, *data),
        lambda model, data: igam_tf.evaluation.masking_panel(model, data),
        lambda model, data: igam_tf.evaluation.evaluate_corruptions(model, data),
        lambda model, _: igam_tf.models.with_pixels(model, input_range=(0, 255)),
        lambda model, _: igam_tf.models.with_channels_last(model),
    ],
)
def test_a_model_of_whole_numbers_is_refused(use, monkeypatch):
    model = of_whole_numbers()
    monkeypatch.setattr(type(model), "__call__", None)
    with pytest.raises(ValueError, match="takes uint8: expected an input of floats"):
        use(model, (IMAGES, LABELS))


def test_a_model_of_whole_numbers_becomes_one_of_floats_as_the_error_says():
    model = of_whole_numbers()
    pixels = RNG.integers(0, 256, (40, 4, 4, 1)).astype("uint8")
    given = keras.Input(model.input_shape[1:])
    new = keras.models.clone_model(model, input_tensors=given)
    new.set_weights(model.get_weights())
    new = igam_tf.models.with_pixels(new, input_range=(0, 255))
    np.testing.assert_allclose(new(pixels / 255), model(pixels), atol=1e-5)
    labels = model(pixels).numpy().argmax(axis=1)
    data = (pixels.astype("float32") / 255, labels)
    found = igam_tf.evaluate(new, data, ("clean", "fgsm"), eps=0.5, **QUIET)
    assert found["attacks"]["clean"]["accuracy"] == 1.0
    assert found["attacks"]["fgsm"]["accuracy"] < 1.0


def test_a_function_is_refused_before_its_weights_are_looked_at(tmp_path):
    for options in ({}, {"checkpoint_dir": tmp_path}):
        with pytest.raises(ValueError, match="model is function: expected a keras"):
            igam_tf.evaluate(
                lambda images: images, (IMAGES, LABELS), "clean", **options, **QUIET
            )


def test_steps_that_go_nowhere_are_refused():
    with pytest.raises(ValueError, match="step_size is 0"):
        attacks.pgd(eps=0.1, step_size=0)
    with pytest.raises(ValueError, match="delta is 0"):
        attacks.SPSA(eps=0.1, delta=0)
    # In a ball of radius 0 there is nowhere to go.
    attacks.pgd(eps=0, step_size=0)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: APGD(eps=0.1, rho=2), "rho is 2: expected a share"),
        (lambda: Square(eps=0.1, p_init=-1), "p_init is -1: expected a share"),
        (lambda: FAB(eps=0.1, alpha_max=3), "alpha_max is 3: expected a share"),
        (lambda: FAB(eps=0.1, beta=float("nan")), "beta is nan: expected a share"),
        (lambda: FAB(eps=0.1, eta=0.5), "eta is 0.5: expected a factor of at least 1"),
        (lambda: attacks.pgd(eps=0.1, num_steps=2**31), "num_steps is 2147483648"),
    ],
)
def test_shares_and_factors_are_called_what_they_are(make, message):
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "Linf" not in str(error.value)


def test_steps_that_end_inside_of_the_ball_are_told(model):
    found = igam_tf.evaluate(
        model, (IMAGES, LABELS), ["pgd10", "pgd3x2"], eps=0.1, step_size=0.01, **QUIET
    )
    told = [text for text in found["warnings"] if "end inside of the ball" in text]
    assert [text.split(":")[0] for text in told] == ["pgd3x2"]


def _generated(order):
    def generate():
        while True:
            for first in order():
                yield IMAGES[first : first + 8], LABELS[first : first + 8]

    return tf.data.Dataset.from_generator(
        generate,
        output_signature=(
            tf.TensorSpec((None, 4, 4, 1)), tf.TensorSpec((None,), tf.int32),
        ),
    )  # fmt: skip


def test_data_without_an_end_are_refused(model):
    batches = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(8)
    with pytest.raises(ValueError, match="no end.*max_examples"):
        igam_tf.evaluate(model, batches.repeat(), ["clean"], **QUIET)
    in_order = _generated(lambda: range(0, 40, 8))
    shuffled = _generated(lambda: 8 * RNG.permutation(5))
    for data in (in_order, shuffled):
        with pytest.raises(ValueError, match="repeats itself.*max_examples"):
            igam_tf.evaluate(model, data, ["clean"], **QUIET)
        few = igam_tf.evaluate(model, data, ["clean"], max_examples=24, **QUIET)
        assert few["num_examples"] == 24
    # An end that nobody knows of beforehand is an end.
    unknown = batches.filter(lambda images, labels: tf.size(labels) > 0)
    assert igam_tf.evaluate(model, unknown, ["clean"], **QUIET)["num_examples"] == 40


def test_state_is_removed_after_the_result_is_saved(model, tmp_path):
    def fails(result):
        raise OSError("the disk is full")

    arguments = (model, (IMAGES, LABELS), ["clean", "pgd5"])
    with pytest.raises(OSError, match="full"):
        igam_tf.evaluate(*arguments, checkpoint_dir=tmp_path / "k", save=fails, **QUIET)
    state = json.loads((tmp_path / "k" / "evaluation-so-far.json").read_text())
    assert state["counted"]["num_examples"] == 40
    seen = []
    igam_tf.evaluate(
        *arguments, checkpoint_dir=tmp_path / "k", **QUIET,
        save=lambda result: seen.append((tmp_path / "k").exists()),
    )  # fmt: skip
    assert seen == [True] and not (tmp_path / "k").exists()


def test_two_evaluations_in_one_folder(model, tmp_path):
    with locks.held(tmp_path, flag="checkpoint_dir"):
        with pytest.raises(ValueError, match="checkpoint_dir: .* in use by process"):
            igam_tf.evaluate(
                model, (IMAGES, LABELS), ["clean"], checkpoint_dir=tmp_path, **QUIET
            )


@pytest.mark.parametrize("text", ["", "{}", "[]", "{", "\x00"])
def test_damaged_state_is_named(model, tmp_path, text):
    (tmp_path / "evaluation-so-far.json").write_text(text)
    with pytest.raises(ValueError, match=r"evaluation-so-far\.json is damaged.*delete"):
        igam_tf.evaluate(
            model, (IMAGES, LABELS), ["clean"], checkpoint_dir=tmp_path, **QUIET
        )


def test_an_interrupted_campaign_saves_its_state(model, tmp_path):
    """Ctrl-C within AutoAttack: the chunk ends, its state is on the disk."""
    attack = Square(eps=0.01, num_queries=300)
    told = []

    def interrupt(progress):
        told.append(progress)
        if len(told) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    model.layers[-1].bias.assign([5.0, 0.0, 0.0])
    with interrupts.stopping():
        with pytest.raises(KeyboardInterrupt):
            attacks.AutoAttack(
                eps=0.01, version=(attack,), checkpoint_dir=tmp_path, callback=interrupt
            ).outcome(model, IMAGES, np.zeros_like(LABELS))
    assert len(told) == 3
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


_STUCK = """
import ctypes, os, signal, threading, time
from igam_tf import interrupts

def interrupt():
    for _ in range(2):
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

with interrupts.stopping():
    threading.Thread(target=interrupt, daemon=True).start()
    # A call of compiled code that does not end: a lock that is taken twice.
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_a_second_interruption_ends_a_long_call_at_once():
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", _STUCK], capture_output=True, text=True, check=False,
        env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 130
    assert "once more stops at once" in done.stderr and "Traceback" not in done.stderr
