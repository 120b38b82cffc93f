"""What linear bounds leave open, decided by a mixed-integer linear programme.

Each ReLU whose argument may have either sign gets a variable that is 0 or 1, and is
then linear (Tjeng, Xiao & Tedrake, "Evaluating Robustness of Neural Networks with Mixed
Integer Programming", ICLR 2019). A point of the ball at which another class is as large
as the label either exists, or does not. SciPy's HiGHS looks for it, with its tolerance
of 1e-6; in Linf, where the ball is a box.
"""

import dataclasses
import time

import numpy as np
from scipy import optimize, sparse

from igam_tf.evaluation.verified.bounds import Ball, argument_bounds, margins
from igam_tf.evaluation.verified.network import PiecewiseLinear

_INFEASIBLE = 2
# By how much another class leads where a point certainly misleads, in logits.
_BEYOND = 1e-6


def decide(
    network: PiecewiseLinear,
    image: np.ndarray,
    label: int,
    eps: float,
    *,
    seconds: float,
    slack: float = 0.0,
) -> str:
    """Whether any point of a ball of Linf misleads a network.

    Args:
        network: what `read_network` returns.
        image: array (height, width, channels) in [0, 1].
        label: class of the image, for which the network decides there.
        eps: radius of the ball, as a fraction such as 8/255.
        seconds: after which it gives up.
        slack: by how much the label has to lead.

    Returns:
        "robust": no other class comes as near as `slack` to the label. "misled": a
        point of the ball is classified otherwise. "open": neither was found in time.
    """
    end = time.perf_counter() + seconds
    ball = Ball(np.asarray(image, np.float64).reshape(-1), eps, "linf")
    bounds = margins(network, image, label, eps, "linf")
    others = np.flatnonzero(np.arange(len(bounds) + 1) != label)
    programme = _programme(network, ball)
    matrix, offset = network.layers[-1]
    is_open = False
    # The class with the smallest bound misleads first, if any does.
    for number in np.argsort(bounds):
        if bounds[number] > slack:
            break
        lead = matrix[label] - matrix[others[number]]
        constant = offset[label] - offset[others[number]]
        status, point = _search(programme, lead, slack - constant, end)
        if status == _INFEASIBLE:
            continue
        if point is not None and not _misleads(network, ball, point, label):
            # A point where the label leads by less than `slack`: is there another one?
            beyond = -max(slack, _BEYOND) - constant
            _, point = _search(programme, lead, beyond, end)
        if point is not None and _misleads(network, ball, point, label):
            return "misled"
        is_open = True
    return "open" if is_open else "robust"


def _search(programme, lead, most, end):
    """Status and variables of a point at which `lead` of the last layer is so small."""
    constraints, variables, last = programme
    row = sparse.lil_matrix((1, len(variables["integrality"])))
    row[0, last : last + len(lead)] = lead
    found = optimize.milp(
        np.zeros(row.shape[1]),
        constraints=[
            *constraints,
            optimize.LinearConstraint(row.tocsr(), -np.inf, most),
        ],
        options={"time_limit": max(0.0, end - time.perf_counter())},
        **variables,
    )
    return found.status, found.x


def _misleads(network, ball, found, label):
    """Whether what was found is in the ball, and misclassified."""
    low = np.maximum(ball.image - ball.eps, 0)
    high = np.minimum(ball.image + ball.eps, 1)
    point = np.clip(found[: len(ball.image)], low, high)
    return network(point[None])[0].argmax() != label


@dataclasses.dataclass(frozen=True)
class _Layer:
    """A matrix, and where its inputs, outputs and switches are among the variables."""

    matrix: np.ndarray
    before: int
    here: int
    switch: int
    count: int

    def rows(self, units, weight, on=None):
        """Units less `weight` of their arguments, plus `on` of their switches."""
        found = sparse.lil_matrix((len(units), self.count))
        number = np.arange(len(units))
        if weight:
            inputs = slice(self.before, self.before + self.matrix.shape[1])
            found[:, inputs] = -weight * self.matrix[units]
        found[number, self.here + units] = 1
        if on is not None:
            found[number, self.switch + number] = on
        return found.tocsr()


def _programme(network, ball):
    """The network as constraints; bounds and kinds of the variables; the last layer's.

    Variables are the pixels, what each ReLU gives, and for each ReLU that may be on or
    off a number that is 1 where it is on.
    """
    arguments = argument_bounds(network, ball)
    sizes = [len(ball.image), *(len(low) for low, _ in arguments)]
    starts = np.cumsum([0, *sizes])
    switches = [np.flatnonzero((low < 0) & (high > 0)) for low, high in arguments]
    count = starts[-1] + sum(map(len, switches))
    smallest, largest = np.zeros(count), np.ones(count)
    smallest[: sizes[0]] = np.maximum(ball.image - ball.eps, 0)
    largest[: sizes[0]] = np.minimum(ball.image + ball.eps, 1)
    parts, switch = [], starts[-1]
    for number, (low, high) in enumerate(arguments):
        matrix, offset = network.layers[number]
        here, always, some = starts[number + 1], low >= 0, switches[number]
        largest[here : here + len(low)] = np.maximum(high, 0)
        layer = _Layer(matrix, starts[number], here, switch, count)
        unbounded = np.full(len(some), np.inf)
        parts += [
            (layer.rows(np.flatnonzero(always), 1), offset[always], offset[always]),
            # At least the argument; at most the argument where it is on, and 0 else.
            (layer.rows(some, 1), offset[some], unbounded),
            (layer.rows(some, 1, -low[some]), -unbounded, (offset - low)[some]),
            (layer.rows(some, 0, -high[some]), -unbounded, np.zeros(len(some))),
        ]
        switch += len(some)
    constraints = []
    if parts:  # A network without ReLUs has none: it is linear.
        matrices, least, most = zip(*parts, strict=True)
        matrix = sparse.vstack(matrices).tocsr()
        sides = np.concatenate(least), np.concatenate(most)
        constraints.append(optimize.LinearConstraint(matrix, *sides))
    variables = {
        "integrality": np.arange(count) >= starts[-1],
        "bounds": optimize.Bounds(smallest, largest),
    }
    return constraints, variables, starts[-2]
