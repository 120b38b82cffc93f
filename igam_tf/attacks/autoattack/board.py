"""Where each image of a campaign stands: the worst that has been found for it."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class Board:
    """What a campaign knows of its images; all that a later attack depends on.

    Attributes:
        adversarial: float32 array (images, ...): the worst images so far.
        standing: bool array (images,): classified correctly, so far.
        loss: float32 array (images,): the cross entropy of `adversarial`.
        pending: bool array (images,): still to be attacked in the present run.
    """

    adversarial: np.ndarray
    standing: np.ndarray
    loss: np.ndarray
    pending: np.ndarray

    @classmethod
    def start(cls, images, is_wrong, loss):
        """The board of clean images."""
        standing = ~is_wrong
        return cls(images.copy(), standing, loss.copy(), standing.copy())

    def record(self, rows, adversarial, is_wrong, loss):
        """Keeps of some images what is worse than before; they are pending no more.

        An image once misclassified keeps the first result that did it; of the others
        the one with the highest loss stays, as in `igam_tf.attacks.Restarts`.
        """
        worse = is_wrong | ~(loss <= self.loss[rows])
        taken = rows[worse & self.standing[rows]]
        chosen = worse & self.standing[rows]
        self.adversarial[taken] = adversarial[chosen]
        self.loss[taken] = loss[chosen]
        self.standing[rows[chosen & is_wrong]] = False
        self.pending[rows] = False

    def arrays(self):
        """Dict of the arrays, for a file."""
        names = [field.name for field in dataclasses.fields(self)]
        return {name: getattr(self, name) for name in names}
