"""Batches of the images that are left: of few sizes, cut when images are dropped."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

#: The state of a stepwise attack: tensors by name, whose first axis is the image.
Tensors = dict[str, tf.Tensor]
#: Hyper-parameters by name that reach a compiled function as tensors.
Numbers = Mapping[str, np.ndarray | np.generic]

#: Names of the state's tensors in a file, where they are not those in memory.
_NAMES_IN_FILES = {"misclassified": "broken"}
_NAMES_IN_MEMORY = {value: key for key, value in _NAMES_IN_FILES.items()}


@dataclasses.dataclass
class Batch:
    """A batch in the middle of a run.

    Attributes:
        rows: integer array, numbers of its images; the state may have more rows, as
            padding.
        state: dict of tensors, see `StepwiseAttack`; empty before the first step.
        step: number of steps done.
    """

    rows: np.ndarray
    state: Tensors = dataclasses.field(default_factory=dict)
    step: int = 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Dict of arrays, for a file."""
        states = {
            f"state_{_NAMES_IN_FILES.get(name, name)}": value.numpy()
            for name, value in self.state.items()
        }
        return {"rows": self.rows, "step": np.array(self.step), **states}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "Batch":
        """The batch whose `arrays` these are."""
        names = [key for key in arrays if key.startswith("state_")]
        state = {}
        for key in names:
            name = key.removeprefix("state_")
            state[_NAMES_IN_MEMORY.get(name, name)] = tf.constant(arrays[key])
        return cls(arrays["rows"], state, int(arrays["step"]))


def padded_size(count: int) -> int:
    """The size of the batch that `count` images are computed in.

    Few sizes, at most an eighth larger than needed: kernels are set up once for every
    size.
    """
    if count <= 16:
        return max(count, 1)
    step = 2 ** (int(count - 1).bit_length() - 4)
    return -(-count // step) * step


def padded(rows: np.ndarray) -> np.ndarray:
    """Fills an array of row numbers up to its padded size, by repeating rows."""
    return np.resize(rows, padded_size(len(rows)))


def take(state: Tensors, rows: np.ndarray) -> Tensors:
    """The rows of a state (a dict of tensors)."""
    rows = tf.constant(np.asarray(rows, np.int32))
    return {name: tf.gather(tensor, rows) for name, tensor in state.items()}


def parts(rows: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cuts row numbers into batches of equal size, none above `batch_size`."""
    if not len(rows):
        return []
    return np.array_split(rows, -(-len(rows) // batch_size))
