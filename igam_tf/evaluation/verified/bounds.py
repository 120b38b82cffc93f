"""Linear bounds of a network over a ball (CROWN), one image at a time.

The name of each of these bounds is that of the paper; the code is our own, of NumPy.
"""

import dataclasses

import numpy as np

from igam_tf.evaluation.verified.network import PiecewiseLinear

# For a linear function the least value over a ball falls by eps times the dual norm.
_DUAL = {"l2": 2, "l1": np.inf}


@dataclasses.dataclass(frozen=True)
class Ball:
    """The perturbations of one image, a row of numbers in [0, 1].

    In Linf the ball is cut to [0, 1]; in L2 and L1 it is not, which bounds more.
    """

    image: np.ndarray
    eps: float
    norm: str

    def least(self, rows: np.ndarray) -> np.ndarray:
        """The least value over the ball of each linear function, a row of numbers."""
        if self.norm == "linf":
            low = np.maximum(self.image - self.eps, 0)
            high = np.minimum(self.image + self.eps, 1)
            return np.maximum(rows, 0) @ low + np.minimum(rows, 0) @ high
        size = np.linalg.norm(rows, ord=_DUAL[self.norm], axis=1)
        return rows @ self.image - self.eps * size


def margins(
    network: PiecewiseLinear, image: np.ndarray, label: int, eps: float, norm: str
) -> np.ndarray:
    """Lower bounds of logits[label] - logits[k] over a ball, for every other class k.

    Each ReLU whose argument may have either sign lies above a line through zero and
    below the chord of its bounds; the bounds of the arguments come from the same
    computation on the layers before, so that everything is a linear function of the
    image at the end, whose least value over the ball is known.

    Args:
        network: what `read_network` returns.
        image: array (height, width, channels) in [0, 1].
        label: class of the image.
        eps: radius of the ball, as a fraction such as 8/255.
        norm: "linf", "l2" or "l1".

    Returns:
        float64 array (classes - 1,); where all are above 0, no perturbation within the
        ball is misclassified, up to the rounding of floating-point numbers.

    Source: Zhang et al., "Efficient Neural Network Robustness Certification with
    General Activation Functions" (CROWN), NeurIPS 2018; Linf boxes cut to [0, 1].
    """
    ball = Ball(np.asarray(image, np.float64).reshape(-1), eps, norm)
    arguments = argument_bounds(network, ball)
    matrix, offset = network.layers[-1]
    others = np.arange(len(offset)) != label
    return _least(
        network,
        len(network.layers) - 1,
        matrix[label] - matrix[others],
        offset[label] - offset[others],
        arguments,
        ball,
    )


def argument_bounds(
    network: PiecewiseLinear, ball: Ball
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Least and largest values that the arguments of each layer's ReLUs may have.

    Returns:
        List of tuples of two float64 arrays (units,), one a layer of ReLUs.
    """
    arguments: list[tuple[np.ndarray, np.ndarray]] = []
    for depth, (matrix, offset) in enumerate(network.layers[:-1]):
        low = _least(network, depth, matrix, offset, arguments, ball)
        high = -_least(network, depth, -matrix, -offset, arguments, ball)
        if arguments:
            # What the bounds of the layer before alone say may be the better one.
            below, above = (np.maximum(side, 0) for side in arguments[-1])
            positive, negative = np.maximum(matrix, 0), np.minimum(matrix, 0)
            low = np.maximum(low, positive @ below + negative @ above + offset)
            high = np.minimum(high, positive @ above + negative @ below + offset)
        arguments.append((low, high))
    return arguments


def _least(network, depth, rows, constants, arguments, ball):
    """Least values of `rows` times what layer `depth` gets, plus `constants`."""
    for number in range(depth - 1, -1, -1):
        low, high = arguments[number]
        crosses = (low < 0) & (high > 0)
        # The chord, for rows in which the ReLU counts against us ...
        width = np.where(crosses, high - low, 1)
        chord = np.where(crosses, high / width, low >= 0)
        above = np.where(crosses, -high * low / width, 0.0)
        # ... and the line through zero that leaves the smaller triangle, for others.
        line = np.where(crosses, high > -low, low >= 0)
        helps, harms = np.maximum(rows, 0), np.minimum(rows, 0)
        constants = constants + harms @ above
        rows = helps * line + harms * chord
        matrix, offset = network.layers[number]
        constants = constants + rows @ offset
        rows = rows @ matrix
    return ball.least(rows) + constants
