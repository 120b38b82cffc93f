"""The training loop around an exported step: shuffling, log, saved states, resume."""

from __future__ import annotations

import csv
import math
import os
import pathlib
import time
import typing
from collections.abc import Callable

import numpy as np

from igam_tf import files
from igam_tf.export.runner import folder
from igam_tf.export.runner.checks import check_data
from igam_tf.export.runner.losses import Losses

if typing.TYPE_CHECKING:
    import jax

    from igam_tf.export.runner.step import ExportedStep


HISTORY = "history.csv"
# Steps after which the host waits for the device, and looks whether the loss is finite.
_LOOK_EVERY = 100


def train(
    step: ExportedStep,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    epochs: int,
    out: str | os.PathLike,
    seed: int = 0,
    save_every: int = 1,
    evaluate: Callable[[dict[str, jax.Array]], dict[str, float]] | None = None,
    log_seconds: float = 60.0,
    log: Callable[[str], object] = print,
) -> list[dict[str, object]]:
    """Trains from the state in `out` if there is one, else from the exported state.

    An epoch is one random order of the images, a function of seed and epoch. Programs
    take whole batches only: the remainder of an epoch, smaller than a batch, is left
    out; it is another one in each epoch.

    Args:
        step: `ExportedStep`.
        images: array [n, height, width, channels], uint8 or float32 in [0, 1].
        labels: integers [n].
        epochs: number of epochs in all, those before a resume included.
        out: folder for `state.npz` and `history.csv`, made if it does not exist.
        seed: of the order of the images.
        save_every: epochs between two saved states; the last one is always saved.
        evaluate: function of the state to a dict of numbers, called when the state is
            saved, or None.
        log_seconds: seconds between two lines of the log within an epoch.
        log: function of one line of text.

    Returns:
        List of dicts, the rows of history.csv.

    Raises:
        ValueError: if there is less than one batch, the data does not fit, or a number
            of epochs is below 1.
        FloatingPointError: if the loss is no longer finite.
    """
    # Over forty lines because of its arguments.
    _check_counts(epochs=epochs, save_every=save_every)
    out = pathlib.Path(out)
    steps = len(labels) // step.batch_size
    check_data(images, labels, step.manifest)
    if not steps:
        raise ValueError(
            f"{len(labels)} images: expected at least the exported batch of "
            f"{step.batch_size}."
        )
    out.mkdir(parents=True, exist_ok=True)
    saved = out / folder.STATE
    step.load_state(saved if saved.exists() else step.path)
    first = step.step // steps
    rows = [r for r in _read_history(out) if int(r["epoch"]) <= first]
    if first >= epochs:
        log(f"nothing to train: {first} of {epochs} epochs are done")
    elif step.step:
        log(f"going on after step {step.step}, epoch {first}")
    for epoch in range(first, epochs):
        batches = _batches(step, images, labels, seed, epoch, steps)
        row = _epoch(step, batches, epoch, steps, log_seconds, log)
        last = epoch + 1 == epochs
        if last or (epoch + 1) % save_every == 0:
            row.update(evaluate(step.state) if evaluate else {})
        log("  ".join(f"{name} {_short(value)}" for name, value in row.items()))
        rows.append(row)
        if last or (epoch + 1) % save_every == 0:
            # First the log: a row too many is dropped on resume.
            _write_history(out, rows)
            step.save_state(saved)
    return rows


def read_arrays(path: str | os.PathLike) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of an .npz file with arrays of these names.

    Raises:
        FileNotFoundError, ValueError: if the file is not there, damaged, or lacks an
            array.
    """
    if not pathlib.Path(path).exists():
        raise FileNotFoundError(f"{path} does not exist: expected an .npz file.")
    how = "np.savez(path, images=split.images, labels=split.labels)"
    arrays = folder.read_arrays(path, expected=f"expected one of {how}")
    if not {"images", "labels"} <= set(arrays):
        raise ValueError(
            f"{path} holds {sorted(arrays)}: expected 'images' and 'labels', as of "
            f"{how}."
        )
    return arrays["images"], arrays["labels"]


def _check_counts(**counts):
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name}={count}: expected a whole number of 1 or more.")


def _batches(step, images, labels, seed, epoch, steps):
    order = np.random.default_rng([seed, epoch]).permutation(len(labels))
    for index in range(step.step % steps, steps):
        chosen = order[index * step.batch_size : (index + 1) * step.batch_size]
        yield images[chosen], labels[chosen]


def _epoch(step, batches, epoch, steps, log_seconds, log):
    """Runs one epoch and returns its row of the history."""
    start = shown = time.perf_counter()
    losses = []
    for images, labels in batches:
        losses.append(step.run(images, labels))
        if step.step % _LOOK_EVERY == 0:
            _check_finite(losses[-1], step)
            if time.perf_counter() - shown > log_seconds:
                shown = time.perf_counter()
                done = (step.step - 1) % steps + 1
                log(f"epoch {epoch + 1}: {done}/{steps} steps, {losses[-1]}")
    mean = Losses.mean(losses)
    _check_finite(mean, step)
    seconds = time.perf_counter() - start
    return {"epoch": epoch + 1, "step": step.step, "seconds": seconds, **mean}


def _check_finite(losses, step):
    if not math.isfinite(losses["loss"]):
        raise FloatingPointError(
            f"the loss is {losses['loss']} at step {step.step}: {losses}. The last "
            "saved state stays; lower the learning rate or the weights of the losses."
        )


def _read_history(out):
    if not (out / HISTORY).exists():
        return []
    with open(out / HISTORY, newline="") as file:
        return list(csv.DictReader(file))


def _write_history(out, rows):
    names = list(dict.fromkeys(name for row in rows for name in row))
    with files.replacing(out / HISTORY) as partial:
        with open(partial, "w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
