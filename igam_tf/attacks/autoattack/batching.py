"""Batches of the images still standing: padded to few sizes, cut as images fall."""

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass
class Batch:
    """A batch in the middle of a run.

    Attributes:
        rows: numbers of its images; the state may have more rows, as padding.
        state: dict of tensors, see `StepwiseAttack`; None before the first step.
        step: steps done.
    """

    rows: np.ndarray
    state: dict = None
    step: int = 0

    def arrays(self):
        """Dict of arrays, for a file."""
        states = {f"state_{key}": value.numpy() for key, value in self.state.items()}
        return {"rows": self.rows, "step": np.array(self.step), **states}

    @classmethod
    def of_arrays(cls, arrays):
        """The batch that `arrays` wrote."""
        state = {
            key.removeprefix("state_"): tf.constant(value)
            for key, value in arrays.items()
            if key.startswith("state_")
        }
        return cls(arrays["rows"], state, int(arrays["step"]))


def padded_size(count):
    """The size of the batch that `count` images are computed in.

    Few sizes, at most an eighth larger than needed: kernels are set up once for every
    size.
    """
    if count <= 16:
        return max(count, 1)
    step = 2 ** (int(count - 1).bit_length() - 4)
    return -(-count // step) * step


def padded(rows):
    """Fills an array of row numbers up to its padded size, by repeating rows."""
    return np.resize(rows, padded_size(len(rows)))


def take(state, rows):
    """The rows of a state (a dict of tensors)."""
    rows = tf.constant(np.asarray(rows, np.int32))
    return {name: tf.gather(tensor, rows) for name, tensor in state.items()}


def parts(rows, batch_size):
    """Cuts row numbers into batches of equal size, none above `batch_size`."""
    if not len(rows):
        return []
    return np.array_split(rows, -(-len(rows) // batch_size))
