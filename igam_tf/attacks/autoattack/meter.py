"""What a campaign has cost and what it still may: passes, seconds, progress."""

import time
from typing import NamedTuple

import numpy as np


class Progress(NamedTuple):
    """What a campaign's callback is told, several times a run.

    Attributes:
        attack: name of the present attack.
        run: number of its present run, from 1.
        num_runs: number of its runs.
        step: steps done in this run by the present batch.
        num_steps: steps of a run.
        standing: images still standing.
        num_images: all images.
        fraction: share of the work that is done, if nothing more falls.
        seconds: since the start, or since the campaign was resumed.
        seconds_left: at the present pace, if nothing more falls.
    """

    attack: str
    run: int
    num_runs: int
    step: int
    num_steps: int
    standing: int
    num_images: int
    fraction: float
    seconds: float
    seconds_left: float


class Meter:
    """Counts image passes and seconds by attack; one image through the model is one.

    Args:
        names: names of the attacks.

    Attributes:
        names: the same, after "clean".
        counts: float64 array (names, 3): forward passes of images, backward passes,
            seconds. It goes into the checkpoint as it is.
    """

    def __init__(self, names):
        self.names = ["clean", *names]
        self.counts = np.zeros((len(self.names), 3))
        self._start = self._last = time.perf_counter()
        self._before = 0.0

    def restore(self, counts):
        """Takes over the counts of an earlier part of the same campaign."""
        self.counts = counts
        self._before = counts[:, :2].sum()

    def add(self, name, num_images, passes, times=1):
        """Adds `times` steps of `num_images`, and the seconds since the last call."""
        now = time.perf_counter()
        forward, backward = (num_images * times * count for count in passes)
        self.counts[self.names.index(name)] += forward, backward, now - self._last
        self._last = now

    def column(self, number):
        """Dict from name to one of the counts."""
        return dict(zip(self.names, self.counts[:, number].tolist(), strict=True))

    def progress(self, left, **what):
        """A `Progress` of `what`, with `left` image passes to come at most."""
        seconds = time.perf_counter() - self._start
        done = self.counts[:, :2].sum()
        pace = seconds / max(done - self._before, 1.0)
        fraction = done / (done + left) if done + left else 1.0
        return Progress(
            fraction=fraction, seconds=seconds, seconds_left=pace * left, **what
        )
