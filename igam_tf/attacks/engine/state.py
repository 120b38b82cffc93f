"""What is known of each image under attack: the worst that has been found for it."""

import dataclasses

import numpy as np


@dataclasses.dataclass
class AttackState:
    """What a runner knows of its images; all that a later attack depends on.

    Attributes:
        adversarial: float32 array (images, ...): the worst images so far.
        robust: bool array (images,): classified correctly under all attacks so far.
        loss: float32 array (images,): the cross entropy of `adversarial`.
        pending: bool array (images,): still to be attacked in the present run.
    """

    adversarial: np.ndarray
    robust: np.ndarray
    loss: np.ndarray
    pending: np.ndarray

    @classmethod
    def start(
        cls, images: np.ndarray, is_wrong: np.ndarray, loss: np.ndarray
    ) -> "AttackState":
        """The state of clean images."""
        robust = ~is_wrong
        return cls(images.copy(), robust, loss.copy(), robust.copy())

    def record(
        self,
        rows: np.ndarray,
        adversarial: np.ndarray,
        is_wrong: np.ndarray,
        loss: np.ndarray,
    ) -> None:
        """Keeps of some images what is worse than before; they are pending no more.

        An image once misclassified keeps the first result that did it; of the others
        the one with the highest loss stays, as in `igam_tf.attacks.Restarts`.

        Args:
            rows: integer array (n,), numbers of the images.
            adversarial: float32 array (n, ...).
            is_wrong: bool array (n,), whether they are misclassified.
            loss: float32 array (n,), their cross entropy.
        """
        worse = is_wrong | ~(loss <= self.loss[rows])
        chosen = worse & self.robust[rows]
        taken = rows[chosen]
        self.adversarial[taken] = adversarial[chosen]
        self.loss[taken] = loss[chosen]
        self.robust[rows[chosen & is_wrong]] = False
        self.pending[rows] = False

    def arrays(self) -> dict[str, np.ndarray]:
        """Dict of arrays, for a file."""
        return {
            "adversarial": self.adversarial,
            "standing": self.robust,
            "loss": self.loss,
            "pending": self.pending,
        }

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> "AttackState":
        """The state whose `arrays` these are; other entries are left alone."""
        names = ("adversarial", "standing", "loss", "pending")
        return cls(*(arrays[name] for name in names))
