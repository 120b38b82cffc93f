"""What running attacks has cost and what it still may: passes, seconds, progress."""

import time
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np


class Passes(NamedTuple):
    """Forward and backward passes of one image."""

    forward: int
    backward: int


class Progress(NamedTuple):
    """What a callback is told, several times a run.

    Attributes:
        attack: name of the present attack.
        run: number of its present run, from 1.
        num_runs: number of its runs.
        step: steps done in this run by the present batch.
        num_steps: steps of a run.
        num_robust: images classified correctly so far.
        num_images: all images.
        fraction: share of the work that is done, if nothing more is misclassified.
        seconds: since the start, or since the run was resumed.
        seconds_left: at the present pace, if nothing more is misclassified.
        passes: passes of images so far, forward and backward, since the start or since
            the run was resumed.
        passes_left: those to come, if nothing more is misclassified.
        passes_expected: those to come, if of the images that no attack has begun with
            as large a share is misclassified as of the others.
    """

    attack: str
    run: int
    num_runs: int
    step: int
    num_steps: int
    num_robust: int
    num_images: int
    fraction: float
    seconds: float
    seconds_left: float
    passes: float = 0.0
    passes_left: float = 0.0
    passes_expected: float = 0.0

    @property
    def standing(self) -> int:
        """Deprecated: the old name of `num_robust`."""
        warnings.warn(
            "Progress.standing is now Progress.num_robust; the old name will go.",
            DeprecationWarning,
            stacklevel=2,
        )
        return self.num_robust


class CostCounter:
    """Counts image passes and seconds by attack; one image through the model is one.

    Args:
        names: names of the attacks.

    Attributes:
        names: the same, after "clean".
        counts: float64 array (names, 3): forward passes of images, backward passes,
            seconds. It goes into the checkpoint as it is.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = ["clean", *names]
        self.counts = np.zeros((len(self.names), 3))
        self._start = self._last = time.perf_counter()
        self._before = 0.0

    def restore(self, counts: np.ndarray) -> None:
        """Takes over the `counts` of an earlier part of the same evaluation."""
        self.counts = counts
        self._before = counts[:, :2].sum()

    def add(self, name: str, num_images: int, passes: Passes, times: int = 1) -> None:
        """Adds `times` steps of `num_images`, and the seconds since the last call."""
        now = time.perf_counter()
        forward, backward = (num_images * times * count for count in passes)
        self.counts[self.names.index(name)] += forward, backward, now - self._last
        self._last = now

    def column(self, number: int) -> dict[str, float]:
        """Dict from name to one of the counts."""
        return dict(zip(self.names, self.counts[:, number].tolist(), strict=True))

    def progress(self, left: float, expected: float, **what: Any) -> Progress:
        """A `Progress` of `what`, with image passes to come: at most, and expected."""
        seconds = time.perf_counter() - self._start
        done = self.counts[:, :2].sum()
        now = done - self._before
        fraction = done / (done + left) if done + left else 1.0
        return Progress(
            fraction=fraction,
            seconds=seconds,
            seconds_left=seconds / max(now, 1.0) * left,
            passes=now,
            passes_left=left,
            passes_expected=expected,
            **what,
        )
