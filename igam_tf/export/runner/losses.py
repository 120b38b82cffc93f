"""The losses of exported steps, transferred from the device when they are read."""

import collections.abc
import typing
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike


class Losses(collections.abc.Mapping):
    """Means over images of the loss, its terms and the accuracy, of one or more steps.

    Until it is read, the device need not have finished. A value that no step reported,
    such as those of matching before matching begins, is 0.

    Args:
        names: of the values.
        sums, counts: arrays (names,) on the device.
    """

    def __init__(self, names: Sequence[str], sums: ArrayLike, counts: ArrayLike):
        self.names, self._sums, self._counts = names, sums, counts

    @classmethod
    def mean(cls, losses: Iterable["Losses"]) -> "Losses":
        """The means over the images of several steps."""
        losses = list(losses)
        sums: typing.Any = sum(np.asarray(one._sums, np.float64) for one in losses)
        counts: typing.Any = sum(np.asarray(one._counts, np.float64) for one in losses)
        return cls(losses[0].names, sums, counts)

    def __getitem__(self, name: str) -> float:
        if name not in self.names:
            raise KeyError(name)
        index = self.names.index(name)
        count = float(np.asarray(self._counts)[index])
        return float(np.asarray(self._sums)[index]) / count if count else 0.0

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.items())
        return f"Losses({values})"
